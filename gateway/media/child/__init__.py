"""The process that reads the files of unknown senders; the gateway process decodes none of them.

    job_pool --a job, one line of JSON--> __main__ --> work --> pictures, moving, sounds, pages
             <--progress, then a result or a refusal--'

The process is confined before it reads a byte (`confinement`): its memory, its processor time, the
size of what it writes, and the formats that it decodes are limited. It does one job at a time.
"""
