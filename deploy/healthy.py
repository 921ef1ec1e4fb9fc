"""Container health check: `healthy.py PORT PATH` ends with 0 when that answers 200 on this host, else with 1."""

import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=4)
try:
    connection.request("GET", sys.argv[2])
    answer = connection.getresponse()
    status, said = answer.status, answer.read(2000).decode(errors="replace")
except OSError as error:
    status, said = 0, str(error)
sys.stdout.write(said + "\n")
sys.exit(status != http.HTTPStatus.OK)
