"""Large maps: vectors on disk in shards, exact search by bounds, and search on a GPU. docs/scale.md."""

LARGE = 50_000  # places; such a map, or a larger one, is searched by bounds, and on a GPU where there is one
