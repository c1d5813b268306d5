import signal
import sys

from bench.cli.signals import ENDING, end_by_itself, stopping

try:
    with stopping():  # from the first moment
        from bench.cli.main import main

        code = main()
except KeyboardInterrupt as stop:  # nothing has begun that could go on
    code = 128 + getattr(stop, "number", signal.SIGINT)
for name in ("SIGINT", *ENDING):  # all is done and written: nothing is left to stop
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
if code > 128:
    end_by_itself()
# python -m remembers a KeyboardInterrupt that left an exec of a string, such as those of dataclasses, even
# where it was caught, and would end itself by SIGINT; the next such exec forgets it
exec("")
sys.exit(code)
