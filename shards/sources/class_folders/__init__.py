"""One folder per class, as torchvision's `ImageFolder` reads them."""
