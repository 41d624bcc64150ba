"""Reads exports of CVAT in its own format, 'CVAT for images 1.1'."""
