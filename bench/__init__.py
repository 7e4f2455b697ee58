"""Speed and memory, measured from outside: the program is started as a user starts it.

    python -m bench                     every benchmark, about 20 minutes
    python -m bench spans logs          only these
    python -m bench --scale 0.1 logs    a tenth of the records: to try something, not to quote

Promise   each figure is what a sender or a reader sees over a socket; senders are processes of
          their own, whose CPU time is given beside that of the server and the engine.
          Peers that are installed run in the same run on the same bodies; what others published
          about themselves is marked so.
Limits    every load ends by count and by time. Bodies are made before, and kept in build/bench for
          the next run; renewed before they are sent: other ids, other times.
Noise     `other_cpu` says how much of the machine was used by anything but the measured program
          and its senders. Above 0.1 a figure says little.

Read machine, program, bodies, send, then any benchmark.
"""
