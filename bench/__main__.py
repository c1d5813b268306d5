import sys

try:
    from bench.cli.main import main
except KeyboardInterrupt:
    sys.exit(130)
sys.exit(main())
