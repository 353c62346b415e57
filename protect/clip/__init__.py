"""Every CLIP behind one face (DualEncoder), its losses and retrieval."""
