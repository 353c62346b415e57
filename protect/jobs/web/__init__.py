"""The local page of `protect web`: photos are dropped, looked at, protected and downloaded in a browser."""
