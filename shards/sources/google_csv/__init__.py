"""Google's import CSV for images: AutoML Vision and Vertex AI."""
