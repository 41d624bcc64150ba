"""Images to batches, three ways that agree: DALI's graph, the host's threads, the PIL reference.

`preprocess.Preprocess` describes the processing, `batch.Batch` is the result, and
`loaders.open_loader` chooses the implementation.
"""
