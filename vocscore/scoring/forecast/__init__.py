"""Predicts a run before it is paid for: a sample is measured, and the rest is arithmetic.

`sample` chooses images that stand for all, spread over the whole listing. `storage` reads some of
them, `trial` scores others with the engine of a real run, `joining` writes and joins their rows.
`arithmetic` gets from that to hours, requests and the size of units, `advice` to suggestions.
`plan_report` shows the result; `forecast` is the job.
"""
