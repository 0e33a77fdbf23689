"""A self-hosted WhatsApp gateway that speaks Z-API's HTTP contract.

A message travels one way through these packages:

    api -> send_queue -> sessions -> providers -> WhatsApp
              |             |
              +------+------+
                     v
            instances, history, database     what the road stands on
                     |
                 contract                    what Z-API promises; no input or output
                     |
     observability, settings, clock, errors  foundation

`runtime` builds everything once and is the only place that names concrete classes.
"""

__version__ = "0.1.0"
