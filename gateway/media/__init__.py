"""Files: stored with a request, fetched for an attempt, stored for a time, served by link.

    request   base64 -> spooling (decoded to disk as it arrives) -> intake -> storing
                                                        the queued row holds `media:<sha256>`
    attempt   URL -> fetching --+
              reference ->------+-> sniffing -> converting (other processes) -> Attempt.media
                  storing       |
              link -> previewing+                                             (preparing.py)
    inbound   ReceivedFile -> storing -> a signed link in the callback

    converting --the account's turn--> job_pool --a job--> child (a confined process, one job each)

The same bytes are stored once. `storing` also serves links and deletes content that no row needs.
"""
