"""Images to batches: three loaders that agree, with DALI, on the host, and the PIL reference.

`preprocess.Preprocess` describes the processing, `batch.Batch` is the result, and
`loaders.open_loader` chooses the implementation.
"""
