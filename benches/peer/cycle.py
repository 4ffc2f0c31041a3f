"""Cycles of the Python agent, measured one by one.

    python cycle.py MODE CONFIG

The agent's own `main` reads the settings, chooses the mode and loops for ever over `_process_offerings`, with a pause
of minutes between two rounds. Here that same function of the same module is called as often as the parent asks for
it: a line on standard input begins a cycle, a line of JSON on standard output ends it. Nothing of the agent is
replaced. What it logs goes to standard error, as much as it logs by default.
"""

import importlib
import json
import logging
import os
import resource
import sys
import time

MODES = {
    "order_process": "agent_order_process",
    "report": "agent_report",
    "membership_sync": "agent_membership_sync",
}


class Complaints(logging.Handler):
    """Keeps what is logged as an error; counts warnings."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.warnings = 0
        self.errors = []

    def emit(self, record):
        if record.levelno < logging.ERROR:
            self.warnings += 1
            return
        message = record.msg if isinstance(record.msg, str) else str(record.msg)
        if isinstance(record.msg, dict):
            message = str(record.msg.get("event", record.msg))
            cause = record.msg.get("exception")
        else:
            message = record.getMessage()
            cause = record.exc_info and logging.Formatter().formatException(record.exc_info)
        if cause:
            message = f"{message}: {str(cause).strip().splitlines()[-1]}"
        self.errors.append(message)


def main():
    mode, config = sys.argv[1:]
    results = os.fdopen(os.dup(1), "w")
    sys.stdout = sys.stderr
    sys.argv = ["waldur_site_agent", "-m", mode, "-c", config]

    from waldur_site_agent.common import utils

    agent = importlib.import_module(f"waldur_site_agent.polling_processing.{MODES[mode]}")
    configuration = utils.init_configuration()
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)

    for _ in sys.stdin:
        complaints.warnings, complaints.errors = 0, []
        wall, cpu = time.perf_counter(), time.process_time()
        agent._process_offerings(configuration, {})
        result = {
            "wall_us": int((time.perf_counter() - wall) * 1e6),
            "cpu_us": int((time.process_time() - cpu) * 1e6),
            "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            "warnings": complaints.warnings,
            "errors": complaints.errors,
        }
        print(json.dumps(result), file=results, flush=True)


if __name__ == "__main__":
    main()
