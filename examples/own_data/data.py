"""Data of one's own: pictures of circles, squares and triangles, drawn here so that there is nothing to download."""

import random

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("circle", "square", "triangle")
SIDE = 16


def shapes(count: int = 900, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, (N, 16, 16) uint8, and the name of what each shows, (N,)."""
    rng = random.Random(seed)
    labels = [rng.choice(CLASSES) for _ in range(count)]
    return np.stack([draw(label, rng) for label in labels]), np.array(labels)


def draw(label: str, rng: random.Random) -> np.ndarray:
    """One picture: a shape of random size and place on a noisy ground."""
    picture = Image.new("L", (SIDE, SIDE), rng.randrange(60))
    pen = ImageDraw.Draw(picture)
    size = rng.randint(6, 12)
    x, y = rng.randrange(SIDE - size), rng.randrange(SIDE - size)
    ink = rng.randint(120, 255)
    if label == "circle":
        pen.ellipse((x, y, x + size, y + size), fill=ink)
    elif label == "square":
        pen.rectangle((x, y, x + size, y + size), fill=ink)
    else:
        pen.polygon(((x + size // 2, y), (x, y + size), (x + size, y + size)), fill=ink)
    noise = np.random.default_rng(rng.randrange(2**32)).normal(0, 20, (SIDE, SIDE))
    return np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
