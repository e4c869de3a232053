"What every test shares: one thread per process, no window for figures."
import os, signal

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# A shell without job control starts background jobs deaf to Ctrl-C; tests send it, and their processes inherit what is set here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN: signal.signal(signal.SIGINT, signal.default_int_handler)
