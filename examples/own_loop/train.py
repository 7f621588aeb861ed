"""A network that was searched, in a training loop of one's own: torch alone, no framework.

    nas export runs/digits-1 5 --to net-5
    python examples/own_loop/train.py net-5 --epochs 5

`model.py` of the exported folder is an ordinary module: import it, load its weights (or begin anew), compile it,
train it. With `--compile inductor`, torch's own compiler, a C++ compiler has to be there.

The last 297 of scikit-learn's digits are kept out of this loop, but not out of the search, which split the same images
in its own way: it trained on most of them and chose the architecture by others. So the accuracy that is printed says
how the training here goes, not how well the network does on images that nobody has seen; that is what the search's
test part is for (`nas evaluate net-5 --data digits`).
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser(description="Train an exported network further on scikit-learn's digits.")
parser.add_argument("folder", type=Path, help="what nas export wrote")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--scratch", action="store_true", help="begin with fresh weights")
parser.add_argument("--compile", metavar="BACKEND", help="compile it first, with inductor or another backend")
parser.add_argument("--save", type=Path, default=Path("digits.safetensors"), help="where the new weights go")


def digits(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (1797, 1, 8, 8), normalised as in the search (`Feed` at the top of model.py), and their classes."""
    normal = json.loads((folder / "architecture.json").read_text())["about"]["data"]["normalisation"]
    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.float32).unsqueeze(1)
    return (images - normal["mean"][0]) / normal["std"][0], torch.tensor(found.target)


def accuracy(network: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> float:
    """The share of images that are given their class, in percent."""
    network.eval()
    with torch.no_grad():
        return 100 * (network(images).argmax(1) == classes).float().mean().item()


def main() -> None:
    """Load, train, measure, save."""
    options = parser.parse_args()
    sys.path.insert(0, str(options.folder))
    from model import Network  # the exported class; nothing of the search comes with it

    torch.manual_seed(0)
    network = Network()
    if not options.scratch:
        network.load_state_dict(load_file(options.folder / "weights.safetensors"))
    images, classes = digits(options.folder)
    train, kept = slice(0, 1500), slice(1500, None)
    known = f"{len(classes[kept])} images kept out of this loop, not out of the search"
    print(f"before: {accuracy(network, images[kept], classes[kept]):.2f} % of {known}")

    running = torch.compile(network, backend=options.compile) if options.compile else network
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for epoch in range(1, options.epochs + 1):
        running.train()
        total = 0.0
        for batch in torch.randperm(1500).split(100):
            loss = nn.functional.cross_entropy(running(images[train][batch]), classes[train][batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        print(f"epoch {epoch}: loss {total / 1500:.4f}, {accuracy(running, images[kept], classes[kept]):.2f} %")

    save_file(network.state_dict(), options.save)
    print(f"weights saved to {options.save}; nn.Module.load_state_dict takes them")


if __name__ == "__main__":
    main()
