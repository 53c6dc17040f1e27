"""Turns the measured rounds into RESULTS.md and results.svg."""

import math
from statistics import median
from xml.sax.saxutils import escape

COLORS = {"floor": "#9aa0a6", "weir": "#1a73e8", "mosquitto": "#e8710a"}

# Key in the generator's JSON, heading, digits behind the point.
COLUMNS = [
    ("messages_per_second", "messages/s", 0),
    ("deliveries_per_second", "deliveries/s", 0),
    ("puback_p50_us", "PUBACK p50 µs", 0),
    ("puback_p99_us", "PUBACK p99 µs", 0),
    ("delivery_p50_us", "delivery p50 µs", 0),
    ("delivery_p99_us", "delivery p99 µs", 0),
    ("load_cpu_us", "generator CPU µs", 3),
]


def values(rounds, server, key):
    return [r[server][key] for r in rounds if server in r and key in r[server]]


def ratios(rounds, server, key):
    """Of each round by itself: the machine drifts between rounds, hardly within one."""
    return [r[server][key] / r["floor"][key]
            for r in rounds if server in r and "floor" in r and r["floor"].get(key)]


def multiples(rounds, other_rounds, server):
    """How many times the CPU of another scenario in the same round."""
    key = "server_cpu_us"
    return [r[server][key] / o[server][key] for r, o in zip(rounds, other_rounds) if server in r and server in o]


def significant(value):
    """Three significant digits, without an exponent."""
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:,.{max(0, min(3, digits))}f}"


def with_range(numbers, form=significant):
    if not numbers:
        return ""
    text = form(median(numbers))
    return text if len(numbers) == 1 else f"{text} ({form(min(numbers))}-{form(max(numbers))})"


def table(scenario, results, servers):
    rounds, other_rounds = results[scenario.name], results.get(scenario.against)
    columns = [c for c in COLUMNS if any(any(values(rounds, s, c[0])) for s in servers)]
    key = scenario.metric
    ratio_heading = "ratio to floor" if key == "server_cpu_us" else "delivery p50 to floor"
    heads = ["", "CPU µs/message", ratio_heading] + [c[1] for c in columns]
    if other_rounds:
        heads.insert(3, f"times {scenario.against}")
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for server in servers:
        if not values(rounds, server, "server_cpu_us"):
            lines.append(f"| {server} | failed |" + " |" * (len(heads) - 2))
            continue
        row = [server, with_range(values(rounds, server, "server_cpu_us")),
               with_range(ratios(rounds, server, key), lambda v: f"{v:.2f}")]
        if other_rounds:
            row.append(with_range(multiples(rounds, other_rounds, server), lambda v: f"{v:.2f}"))
        row += [f"{median(values(rounds, server, c[0])):,.{c[2]}f}" if values(rounds, server, c[0])
                else "" for c in columns]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def markdown(head, scenarios, results, failures, servers):
    parts = ["# Results", head, "![Ratio to the floor](results.svg)",
             "Medians of the rounds, in brackets the lowest and the highest. CPU is the server's user and system time. "
             "A round measures all scenarios and servers in turn, and a ratio is taken within each round. README.md says what the scenarios mean and how to read this."]
    for scenario in scenarios:
        parts += [f"## {scenario.name}", scenario.text,
                  table(scenario, results, servers)]
    if failures:
        parts += ["## Failed runs", "\n".join(f"- {f}" for f in failures)]
    return "\n\n".join(parts) + "\n"


class Plot:
    """Horizontal bars on a logarithmic axis of ratios, a group for each scenario."""

    LEFT, RIGHT, TOP, BAR, GAP, WIDTH = 170, 150, 56, 16, 18, 860

    def __init__(self, top_ratio):
        self.low, self.high = 0.5, max(4.0, top_ratio * 1.2)
        self.parts = []
        self.y = self.TOP

    def x(self, ratio):
        share = math.log(max(ratio, self.low) / self.low) / math.log(self.high / self.low)
        return self.LEFT + share * (self.WIDTH - self.LEFT - self.RIGHT)

    def text(self, x, y, words, extra=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{escape(words)}</text>')

    def group(self, name, bars):
        self.text(self.LEFT - 10, self.y + self.BAR * len(bars) / 2 + 4, name, 'text-anchor="end"')
        for server, ratio, label in bars:
            width = self.x(ratio) - self.LEFT
            self.parts.append(f'<rect x="{self.LEFT}" y="{self.y}" width="{width:.1f}" '
                              f'height="{self.BAR - 2}" fill="{COLORS[server]}"/>')
            self.text(self.LEFT + width + 5, self.y + self.BAR - 5, label)
            self.y += self.BAR
        self.y += self.GAP

    def axis(self):
        lines = []
        for ratio in [1, 2, 5, 10, 20, 50, 100, 200, 500]:
            if ratio > self.high:
                break
            x = self.x(ratio)
            lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{self.TOP - 8}" y2="{self.y}" '
                         f'stroke="{"#555" if ratio == 1 else "#ddd"}"/>')
            lines.append(f'<text x="{x:.1f}" y="{self.TOP - 12}" text-anchor="middle">{ratio}x</text>')
        return lines

    def legend(self, servers):
        for i, server in enumerate(servers):
            x = self.LEFT + 110 * i
            self.parts.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{COLORS[server]}"/>')
            self.text(x + 17, 22, server)
        self.text(self.LEFT + 110 * len(servers), 22, "times the floor, logarithmic; shorter is better")

    def svg(self):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.WIDTH} {self.y}" '
                'font-family="sans-serif" font-size="12" fill="#222">')
        return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>',
                          *self.axis(), *self.parts, "</svg>", ""])


def svg(scenarios, results, servers):
    groups = []
    for scenario in scenarios:
        rounds = results[scenario.name]
        bars = []
        for server in servers:
            found = ratios(rounds, server, scenario.metric)
            if found:
                absolute = significant(median(values(rounds, server, scenario.metric)))
                bars.append((server, median(found), f"{median(found):.2f}x, {absolute} µs"))
        groups.append((scenario.name, bars))
    plot = Plot(max((b[1] for _, bars in groups for b in bars), default=1))
    plot.legend(servers)
    for name, bars in groups:
        plot.group(name, bars)
    return plot.svg()
