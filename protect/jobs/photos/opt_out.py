"""Files for those who host their own pages: they tell crawlers, in each of today's ways, not to train on them.

Forms: TDM Reservation Protocol (W3C community group, 2024), robots.txt (RFC 9309) with Content-Signal
(contentsignals.org) and Content-Usage (drafts of the IETF working group AIPREF), X-Robots-Tag with the words noai and
noimageai; XMP sidecars with the property DataMining of PLUS, which is in the IPTC's standard too (2023.1).
"""

import json
import os
import textwrap
from collections.abc import Iterable
from pathlib import Path

from protect.data.metadata.xmp import write_xmp
from protect.files import HOME, write_whole

FOLDER = f"{HOME}/web"
SIDECARS = "sidecars"
LONGEST_NAME = 255  # bytes that file systems allow
WORTH = (
    "These files state your wish (in the European Union it may count as a reservation of rights, Directive 2019/790, "
    "Article 4), and crawlers that keep to such wishes stay away; nothing in them stops one that does not."
)
LISTED = "November 2026"  # when the names were compared with their source
SOURCE = "github.com/ai-robots-txt/ai.robots.txt"
CRAWLERS = (  # of the names in SOURCE those of crawlers for training, and those that firms read for training alone
    "AI2Bot",
    "Ai2Bot-Dolma",
    "Amazonbot",
    "anthropic-ai",
    "Applebot-Extended",
    "Bytespider",
    "CCBot",
    "ChatGLM-Spider",
    "ClaudeBot",
    "cohere-ai",
    "cohere-training-data-crawler",
    "Cotoyogi",
    "DeepSeekBot",
    "Diffbot",
    "FacebookBot",
    "FriendlyCrawler",
    "Google-Extended",
    "GPTBot",
    "ICC-Crawler",
    "ImagesiftBot",
    "imageSpider",
    "img2dataset",
    "Kangaroo Bot",
    "laion-huggingface-processor",
    "LAIONDownloader",
    "meta-externalagent",
    "omgili",
    "omgilibot",
    "PanguBot",
    "SBIntuitionsBot",
    "TikTokSpider",
    "Timpibot",
    "Webzio-Extended",
    "YandexAdditional",
    "YandexAdditionalBot",
)
SIGNALS = (("Content-Signal", "ai-train=no"), ("Content-Usage", "train-ai=n"))  # read in the group of all crawlers
HEADERS = (("X-Robots-Tag", "noai, noimageai"), ("TDM-Reservation", "1"), ("Content-Usage", "train-ai=n"))


def write_web(out: Path, photos: Iterable[str] = ()) -> list[Path]:
    """Writes the files into OUT/_protect/web, and where each belongs into a README there; returns their paths.

    `photos`: names of protected photos below OUT. Each gets a sidecar, but for one whose name leaves no room for the
    ending.
    """
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in web_files().items():
        write_whole(folder / name, text.encode())
        paths.append(folder / name)
    sidecar = write_xmp((), "", {}, opt_out=True)
    for name in photos:
        path = folder / SIDECARS / f"{name}.xmp"
        if len(os.fsencode(path.name)) <= LONGEST_NAME:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, sidecar)
            paths.append(path)
    return paths


def web_files() -> dict[str, str]:
    """Name and text of each file."""
    return {
        "README.txt": README.format(worth=textwrap.fill(WORTH, 110), listed=LISTED, source=SOURCE),
        "tdmrep.json": json.dumps([{"location": "/", "tdm-reservation": 1}], indent=2) + "\n",
        "robots.txt": _robots(),
        "nginx.conf": "".join(f'add_header {name} "{value}" always;\n' for name, value in HEADERS),
        "htaccess.txt": _apache(),
        "Caddyfile.txt": "".join(f'header {name} "{value}"\n' for name, value in HEADERS),
        "wordpress.php": _wordpress(),
        "netlify-headers.txt": "/*\n" + "".join(f"  {name}: {value}\n" for name, value in HEADERS),
        "head.html": ('<meta name="robots" content="noai, noimageai">\n<meta name="tdm-reservation" content="1">\n'),
    }


def _robots() -> str:
    named = "".join(f"User-agent: {name}\n" for name in CRAWLERS)
    signals = "".join(f"{name}: {value}\n" for name, value in SIGNALS)
    return f"# crawlers by {SOURCE}, {LISTED}\n{named}Disallow: /\n\nUser-agent: *\n{signals}Allow: /\n"


def _wordpress() -> str:
    headers = "".join(f"    header('{name}: {value}');\n" for name, value in HEADERS)
    rows = "".join(f"    {line!r},\n" for line in _robots().splitlines())
    return WORDPRESS.format(headers=headers, rows=rows)


def _apache() -> str:
    lines = "".join(f'  Header always set {name} "{value}"\n' for name, value in HEADERS)
    return f"<IfModule mod_headers.c>\n{lines}</IfModule>\n"


WORDPRESS = """\
<?php
/* Plugin Name: No training on this site */
add_action('send_headers', function () {{
{headers}}});
add_filter('robots_txt', function ($text) {{
  return implode("\\n", [
{rows}  ]) . "\\n" . str_replace('User-agent: *', '', $text);
}});
"""
README = """\
For your own web site.

{worth}

tdmrep.json          to be served as /.well-known/tdmrep.json
robots.txt           take the file as it is where there is none; else add the named crawlers, and put the lines
                     Content-Signal and Content-Usage into the group "User-agent: *" that is there
nginx.conf           nginx: into the server block
htaccess.txt         Apache: add to .htaccess in the site's root (needs mod_headers)
Caddyfile.txt        Caddy: into the block of the site
wordpress.php        WordPress: into wp-content/mu-plugins; it reaches pages and robots.txt, and not the pictures, for
                     which the web server's own file above is needed too
netlify-headers.txt  Netlify, Cloudflare Pages: add to the file _headers
sidecars             one .xmp file for each photo, for hosts that take what stands in a photo out of it and keep files
                     beside it (archives, galleries, stock sites): upload each under the name of its photo and .xmp.
                     It says "prohibited for AI/ML training" (PLUS DataMining) and holds no caption
head.html            where headers cannot be set: into the <head> of each page

The headers count most: the downloader that makes most open picture sets, img2dataset, leaves out pictures served
with noai or noimageai unless told otherwise. Search engines go on as before. The crawlers are those known in
{listed}, by {source}; new ones come every month, so look the list up now and then.
"""
