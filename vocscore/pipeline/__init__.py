"""Pictures to batches, three ways that agree: DALI's graph, the host's threads, the PIL reference.

`preprocess.Preprocess` says what is done, `batch.Batch` is what comes out, `makers.open_maker`
chooses who does it.
"""
