"""Images to batches, three ways that agree: DALI's graph, the host's threads, the PIL reference.

`preprocess.Preprocess` says what is done, `batch.Batch` is what comes out, `loaders.open_loader`
chooses who does it.
"""
