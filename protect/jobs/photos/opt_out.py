"""Files for those who host their own pages: they tell crawlers, in each of today's ways, not to train on them.

Forms: TDM Reservation Protocol (W3C community group, 2024), robots.txt (RFC 9309), X-Robots-Tag with the words noai
and noimageai.
"""

import json
import textwrap
from pathlib import Path

from protect.files import HOME, write_whole

FOLDER = f"{HOME}/web"
WORTH = (
    "These files state your wish (in the European Union it may count as a reservation of rights, Directive 2019/790, "
    "Article 4), and crawlers that keep to such wishes stay away; nothing in them stops one that does not."
)
CRAWLERS = (  # crawlers for training data, and names that firms read for training alone, as known in 2026
    "AI2Bot",
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
    "Google-Extended",
    "GPTBot",
    "ICC-Crawler",
    "ImagesiftBot",
    "imageSpider",
    "img2dataset",
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
)
HEADERS = (("X-Robots-Tag", "noai, noimageai"), ("TDM-Reservation", "1"))


def write_web(out: Path) -> list[Path]:
    """Writes the files into OUT/_protect/web, and where each belongs into a README there; returns their paths."""
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in web_files().items():
        write_whole(folder / name, text.encode())
        paths.append(folder / name)
    return paths


def web_files() -> dict[str, str]:
    """Name and text of each file."""
    return {
        "README.txt": README.format(worth=textwrap.fill(WORTH, 110)),
        "tdmrep.json": json.dumps([{"location": "/", "tdm-reservation": 1}], indent=2) + "\n",
        "robots.txt": "".join(f"User-agent: {name}\n" for name in CRAWLERS) + "Disallow: /\n",
        "nginx.conf": "".join(f'add_header {name} "{value}" always;\n' for name, value in HEADERS),
        "htaccess.txt": _apache(),
        "netlify-headers.txt": "/*\n" + "".join(f"  {name}: {value}\n" for name, value in HEADERS),
        "head.html": ('<meta name="robots" content="noai, noimageai">\n<meta name="tdm-reservation" content="1">\n'),
    }


def _apache() -> str:
    lines = "".join(f'  Header always set {name} "{value}"\n' for name, value in HEADERS)
    return f"<IfModule mod_headers.c>\n{lines}</IfModule>\n"


README = """\
For your own web site.

{worth}

tdmrep.json          to be served as /.well-known/tdmrep.json
robots.txt           add these lines to /robots.txt, or take the file as it is where there is none
nginx.conf           nginx: into the server block
htaccess.txt         Apache: add to .htaccess in the site's root (needs mod_headers)
netlify-headers.txt  Netlify, Cloudflare Pages: add to the file _headers
head.html            where headers cannot be set: into the <head> of each page

The headers count most: the downloader that makes most open picture sets, img2dataset, leaves out pictures served
with noai or noimageai unless told otherwise. Search engines are not named in robots.txt and go on as before; new
crawlers come every month, so look the list up again now and then.
"""
