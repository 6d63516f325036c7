"""The whole platform on three nodes under load, while one dies, one is cut off and one is deployed, as callers experience it.

    o  the outside: carrier, model, callers, clients, and the proxy to which they all connect
    a, b, c  nodes, each with control, worker, gateway and media: `hum up`
    d  PostgreSQL, and NATS for the bus

Each is a machine of its own (tests/chaos/net.py).  `outside` makes the load and records its observations, `nodes` runs the machines,
`judge` makes the table; `python -m bench.whole` is the command.
"""
