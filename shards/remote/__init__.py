"""Object storage behind one door: `store` has the functions, `places` what a URL says.

Only this package imports obstore and boto3 (both late: they are extras). Everywhere else a place in
storage is a `str`, which carries no credentials: each process opens its own connections.
"""
