"""Pretrained networks: how they are found on the disk, loaded, run and exported."""
