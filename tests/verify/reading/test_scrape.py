"""What a scraper finds in shards and photo folders."""

import json

import pytest
from PIL import Image

from protect.data.captions import CaptionError
from protect.data.shards import ShardError
from protect.verify.reading.scrape import Find, photo_files, scrape, source_hashes


def scraped(source, **options):
    return list(scrape([str(source)], **options))


def test_a_shard_gives_every_line_of_its_txt_and_no_json(make_shard, tmp_path):
    samples = {
        "a": {"jpg": b"picture", "json": {"caption": "not this"}, "txt": "one\n\n two \r\n"},
        "b": {"txt": "alone", "PNG": b"x"},
        "c": {"jpg": b"picture", "txt": b"\xff\xfe"},
        "d": {"json": {}},
    }
    make_shard(tmp_path / "0.tar", samples)
    found = [Find("a", b"picture", ("one", "two")), Find("b", b"x", ("alone",)), Find("c", b"picture", ())]
    assert scraped(tmp_path) == [*found, Find("d", b"", ())]
    assert scraped(tmp_path, keep=lambda key: key == "b") == [found[1]]


def test_a_line_ends_at_a_line_feed_only(make_shard, tmp_path):
    make_shard(tmp_path / "0.tar", {"a": {"jpg": b"x", "txt": " \u2028café 🐸 \x85 b\r\n"}})
    assert scraped(tmp_path)[0].captions == ("café 🐸 \x85 b",)


def test_a_path_may_look_like_a_url(make_shard, tmp_path):
    (tmp_path / "a#b?c").mkdir()
    make_shard(tmp_path / "a#b?c" / "0.tar", {"a": {"jpg": b"x", "txt": "y"}})
    assert len(scraped(tmp_path / "a#b?c")) == 1


def test_a_broken_shard_gives_what_came_before(make_shard, tmp_path):
    for name in ("0.tar", "1.tar"):
        make_shard(tmp_path / name, {f"{name[0]}{i}": {"jpg": bytes(3000), "txt": "y"} for i in range(5)})
    shard = tmp_path / "0.tar"
    shard.write_bytes(shard.read_bytes()[:12000])
    found = scraped(tmp_path)
    assert (
        found[0].key == "00" and None in found and [find.key for find in found[-5:]] == ["10", "11", "12", "13", "14"]
    )


@pytest.fixture
def folder(tmp_path):
    """Photos with captions in every place a scraper looks, and files it does not want."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "_protect").mkdir()
    (tmp_path / ".cache").mkdir()
    for name in ("b.jpg", "a.PNG", "sub/c.webp", "_protect/d.jpg", ".cache/e.jpg", "f.gif", "g.jpeg"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "a.txt").write_text("first\nsecond\n")
    (tmp_path / "a.json").write_text(json.dumps({"Caption": "second", "captions": ["third"], "title": "no"}))
    (tmp_path / "b.json").write_text("{broken")
    (tmp_path / "captions.csv").write_text(
        '\ufefffile,caption\nb.jpg,"from, the table"\nb.jpg,again\nsub/c.webp,outer\n'
    )
    (tmp_path / "sub" / "captions.csv").write_text("caption,file\nof the folder,c.webp\n,c.webp\n")
    return tmp_path


def test_a_folder_of_photos_with_captions_from_everywhere(folder):
    assert scraped(folder) == [
        Find("a", b"a.PNG", ("first", "second", "third")),
        Find("b", b"b.jpg", ("from, the table", "again")),
        Find("g", b"g.jpeg", ()),
        Find("sub/c", b"sub/c.webp", ("outer", "of the folder")),
    ]


def photo(tmp_path, name, **options):
    Image.new("RGB", (16, 12), "navy").save(tmp_path / name, **options)


def test_captions_inside_photos_are_read_where_none_stand_beside(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "a boat"
    photo(tmp_path, "a.jpg", exif=exif)
    photo(tmp_path, "b.webp", exif=exif)
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt>'
        '<rdf:li xml:lang="x-default">two dogs</rdf:li></rdf:Alt></dc:description></rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    )
    photo(tmp_path, "c.jpg", xmp=packet.encode())
    photo(tmp_path, "d.jpg", exif=exif)
    (tmp_path / "d.txt").write_text("beside")
    photo(tmp_path, "e.png")
    assert {find.key: find.captions for find in scraped(tmp_path)} == {
        "a": ("a boat",),
        "b": ("a boat",),
        "c": ("two dogs",),
        "d": ("beside",),
        "e": (),
    }


def test_a_folder_with_a_tar_is_one_of_shards(folder, make_shard):
    make_shard(folder / "0.tar", {"z": {"jpg": b"x", "txt": "y"}})
    assert photo_files(str(folder)) == []
    assert [find.key for find in scraped(folder)] == ["z"]


def test_a_table_without_its_columns_is_refused(folder):
    (folder / "captions.csv").write_text("name,text\nb.jpg,x\n")
    with pytest.raises(CaptionError, match="expected the columns file and caption, found name, text"):
        scraped(folder)


def test_nothing_at_a_source_is_refused(tmp_path):
    with pytest.raises(ShardError, match="found none"):
        scraped(tmp_path)


@pytest.mark.parametrize("name", ["a.PNG", "a.txt", "b.json", "captions.csv", "sub/captions.csv"])
def test_the_hash_of_a_folder_covers_photos_and_captions(folder, name):
    before = source_hashes(str(folder))
    assert list(before) == ["4 photos"]
    (folder / "f.gif").write_bytes(b"other")
    assert source_hashes(str(folder)) == before
    (folder / name).write_bytes(b"file,caption\n")
    assert source_hashes(str(folder)) != before


def test_shards_are_hashed_one_by_one(make_shard, tmp_path):
    for name in ("0.tar", "1.tar"):
        make_shard(tmp_path / name, {"a": {"txt": name}})
    hashes = source_hashes(str(tmp_path))
    assert list(hashes) == ["0.tar", "1.tar"] and len(set(hashes.values())) == 2


def test_classes_are_read_from_shards_and_folders(make_shard, tmp_path):
    (tmp_path / "shards").mkdir()
    shard = make_shard(tmp_path / "shards" / "0.tar", {"a": {"jpg": b"x", "cls": "3\n"}, "b": {"jpg": b"x"}})
    assert [find.label for find in scraped(shard)] == ["3", None]
    (tmp_path / "c.jpg").write_bytes(b"x")
    (tmp_path / "c.cls").write_text("boat")
    (tmp_path / "shards" / "0.tar").unlink()
    assert [find.label for find in scraped(tmp_path)] == ["boat"]
    before = source_hashes(str(tmp_path))
    (tmp_path / "c.cls").write_text("dog")
    assert source_hashes(str(tmp_path)) != before
