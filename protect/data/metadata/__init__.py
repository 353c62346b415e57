"""EXIF, XMP and IPTC: read all, write an allow-list."""
