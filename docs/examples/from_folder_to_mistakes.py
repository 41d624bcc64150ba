# %% [markdown]
# # From a folder of images to a table of mistakes
#
# A script in the style of a notebook: VS Code, PyCharm and Jupyter (with jupytext) run its cells
# one by one, and `python from_folder_to_mistakes.py` runs all of it. It draws its own data (two
# minutes on two cores); put your folders in the place of `demo/`.

# %%
import sys
from pathlib import Path

import vocscore as vs

# %% [markdown]
# Draw a small VOC set, pack it, and train a ResNet-18 from random weights. (On the command line,
# two numbers choose fewer images and epochs.)

# %%
here = Path("demo")
if not here.exists():
    images, epochs = [int(n) for n in sys.argv[1:3]] if len(sys.argv) == 3 else (1200, 10)
    vs.demo(here, images=images, epochs=epochs)

# %% [markdown]
# How good is it, on the images that it was not trained on? One of the scored images was cut short:
# it is a row with an error, and no other row suffers.

# %%
print(vs.evaluate(here / "predictions.csv", here / "shards"))

# %% [markdown]
# Single images: paths, bytes, PIL images and arrays, one result for each.

# %%
model = vs.load(here / "run")
photos = sorted((here / "VOCdrawn" / "JPEGImages").glob("*.jpg"))[:3]
for p in model.predict([*photos, photos[0].read_bytes(), here / "none.jpg"]):
    print(p.path, p.labels, p.error)

# %% [markdown]
# The validation images on which the model is most confidently wrong: predictions beside labels.

# %%
loader = vs.loader(here / "shards", split="val", preprocess=here / "run")
truth = {}
for batch in loader:
    truth.update({loader.paths[row]: labels for row, labels in zip(batch.rows, batch.labels)})

found = model.predict([here / "VOCdrawn" / path for path in truth])
mistakes = [
    (abs(p.probabilities[name] - labels[c]), path, name, p.probabilities[name], labels[c])
    for (path, labels), p in zip(truth.items(), found)
    for c, name in enumerate(model.classes)
    if labels[c] >= 0 and (name in p.labels) != bool(labels[c])
]
for _, path, name, probability, label in sorted(mistakes, reverse=True)[:10]:
    print(f"{path}: {name} with probability {probability:.2f}, labeled {label}")
