"""The floor: the least a Flask page of 50 rows can cost. No database, no session, no form."""

from __future__ import annotations

from flask import Flask, render_template
from jinja2 import DictLoader

ROWS = [
    {"id": n, "name": f"Person {n}", "email": f"person{n}@example.org", "role": "", "status": "Active"}
    for n in range(1, 51)
]
PAGE = """<!doctype html><title>Users</title><table>
<tr><th>Name<th>E-mail<th>Role<th>Status</tr>
{% for row in rows %}
<tr><td><a href="/users/{{ row.id }}">{{ row.name }}</a><td>{{ row.email }}
<td>{{ row.role }}<td>{{ row.status }}</tr>
{% endfor %}
</table>"""

app = Flask(__name__)
app.jinja_loader = DictLoader({"rows.html": PAGE})  # compiled once, as a file would be


@app.get("/")
def show_rows() -> str:
    return render_template("rows.html", rows=ROWS)
