"""Random statements and templates, as trees for the evaluator and as SQL text, and messages to try them on."""
import datetime
import random

from evaluator import NEW, OLD, write_string

FIELDS = ["a", "b", "c", "o", "arr", "text", "n", "data1", "_x", "missing"]
NUMBERS = ["0", "1", "2", "3", "7", "10", "13", "50", "100", "0.1", "0.2", "0.3", "1.5", "2.5", "10.0", "2.50", "99.99", "1E3", "5E-12",
           "1e2", "15e-1", "9007199254740993", "9223372036854775807", "9223372036854775808", "1700000000123", "3.141592653589793",
           "0.0000001", "0.00000001", "1234567890123456789012345678901234", "12345678901234567890123456789012345",
           "0.1234567890123456789012345678901234567", "9.99E999", "1E-999", "1E33", "1E34", "1E400", "1E-400", "33.33333333333333333333"]
TEXTS = ["", "a", "red", "green", "true", "FALSE", "True", "10", "007", "-1.2", "5E-12", "+1", ".5", "5.", " 5", "1e+3", "abc", "12.50",
         "hello world", " \tx ", "a/b/c", "\u00e4\u20ac", "stra\u00dfe", "quote\"d", "back\\slash", "line\nbreak", "<\\/", "hihihello", "1E1000",
         "99999999999999999999999999999999999", "2.9", "null", "0", "-0.5"]
PATTERNS = ["a", "[0-9]+", "^r", "d$", "(hi)*", "e+", "(l)(o)", "[a-c]", "(red|green)", "x", "\\.", "[^a-z]"]
REPLACEMENTS = ["", "-", "[$0]", "x$0y"]
GROUP_REPLACEMENTS = {"(l)(o)": ["$2$1", "<$1>"], "(red|green)": ["$1!"]}
JODA = ["yyyy-MM-dd HH:mm:ss.SSS", "EEE dd MMM yyyy", "EEEE MMMM dd", "hh:mm a", "HH:mm Z", "HH:mm z", "xxxx ww e", "DDD"]
JODA_LETTERS = "GCYyxweEMdDaKhHkmsSzZ"
DATE_PATTERNS = ["yyyy-MM-dd", "yyyyMMdd", "dd/MM/yyyy", "dd MMM yyyy", "dd MMMM yyyy", "yyyy 'at' MM''dd"]
TIME_PATTERNS = ["", " HH:mm", "'T'HH:mm:ss", " HH:mm:ss.SSS", " hh:mm a", "HHmmss"]
ZONE_PATTERNS = ["", "", "", "XXX", " VV"]
DATES = ["2024-02-29", "29/02/2024", "2024-1-1", "2023-02-31", "2023-04-32", "2023-13-01", "x", ""]
BASE64 = ["", "eyJ0IjoyMS41fQ==", "ODA=", "ODA", "cmVk", "cmVkIQ", "!!", "/w==", "4oJh", "YeKC", "c", "cmV=", "WzEsIDIuMF0=", "bnVsbA==",
          "MUUxMDAw", "IHRydWUg"]
TOPICS = ["dev/a1/t", "dev", "a//b", "/x/", "dev/10/2.5/true", "a/b/c/d/e/f/g/h"]
NO_DOCUMENTS = ["80", "hello", '"text"', "null", "[1,2", '{"a":', "\udcff\x01", "{\"a\":\"\udcff\"}", "NaN", "{'a':1}", "{\"a\":01}", " "]
PROPERTY_NAMES = ["format_indicator", "content_type", "response_topic", "correlation_data", "other"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Belize", "Australia/Sydney"]
ANY1 = ["get_mqtt_property", "abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "exp", "floor", "ln", "log", "round", "sign", "sin", "sinh", "sqrt", "tan",
        "tanh", "bitnot", "chr", "lower", "upper", "ltrim", "rtrim", "trim", "md5", "sha1", "sha224", "sha256", "sha384", "sha512",
        "isnull", "topic"]
ANY2 = ["atan2", "bitand", "bitor", "bitxor", "mod", "remainder", "nanvl", "power", "trunc", "startswith", "endswith", "lpad", "rpad",
        "substring", "get", "concat"]
ANY3 = ["substring", "replace", "concat"]
NEW1 = ["isundefined", "length", "numbytes", "get_or_default"]
NEW2 = ["indexof", "get_or_default"]
NONE = ["timestamp", "topic", "clientid", "newuuid", "traceid", "accountid", "sql_version", "rand", "principal"]
PRECEDENCE = {"OR": 1, "AND": 2, "NOT": 3, "=": 4, "<>": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "IN": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}
UNARY, POSTFIX = 7, 8


class Unwritten(list):
    """The alias that an item has by itself."""


def natural_name(tree):
    """The key of an item without AS."""
    kind, *parts = tree
    if kind in ("path", "member"):
        return parts[-1]
    return parts[0] if kind == "call" else "cast" if kind == "cast" else None


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.pick = self.random.choice
        self.names = []
        self.stars = True  # whether * may stand in an expression

    # --- payloads: written as the evaluator would write them, so that text passed on is the same ---

    def number_text(self):
        kind = self.random.random()
        if kind < 0.5:
            text = self.pick(NUMBERS)
        elif kind < 0.75:
            text = str(self.random.randint(-1000, 1000))
        elif kind < 0.97:
            text = f"{self.random.randint(-10**self.random.randint(1, 20), 10**9) / 10**self.random.randint(0, 6):.{self.random.randint(1, 12)}f}"
        else:
            text = self.pick(["1E1000", "-1E1000", "1E-1000"])
        text = "-" + text if self.random.random() < 0.15 and text[0] != "-" else text
        return text

    def json(self, depth):
        kind = self.random.random()
        if depth and kind < 0.2:
            return "[" + ",".join(self.json(depth - 1) for _ in range(self.random.randint(0, 4))) + "]"
        if depth and kind < 0.4:
            return self.json_object(depth)
        if kind < 0.7:
            return self.number_text()
        return write_string(self.pick(TEXTS)) if kind < 0.9 else self.pick(["true", "false", "null"])

    def json_field(self, key, depth):
        """Mostly what its name promises."""
        depth = max(depth, 0)
        if self.random.random() < 0.2:
            return self.json(depth)
        if key == "text":
            return write_string(self.pick(TEXTS))
        if depth and key == "o":
            return self.json_object(depth)
        if depth and key == "arr":
            kind = self.pick([self.json_object, self.json, lambda _: self.number_text()])
            return "[" + ",".join(kind(depth - 1) for _ in range(self.random.randint(0, 4))) + "]"
        return self.number_text()

    def json_object(self, depth):
        keys = self.random.sample(FIELDS[:-1], self.random.randint(0 if depth < 3 else 4, 7))
        return "{" + ",".join(f'"{key}":{self.json_field(key, depth - 1)}' for key in keys) + "}"

    def payload(self):
        """The same JSON with white space and escapes that say nothing."""
        kind = self.random.random()
        if kind < 0.05:
            return self.pick(["", "[1, 2.0,\r{\"a\" :[ ]} ]", "[]", "{ }"])
        if kind < 0.1:
            return self.pick(NO_DOCUMENTS)
        text = self.json_object(3)
        return text if self.random.random() < 0.5 else self.disguised(text)

    def disguised(self, text):
        out, quoted, escaped = "", False, False
        for c in text:
            plain = quoted and not escaped and c not in '"\\'
            if plain and c == "/" and self.random.random() < 0.5:
                out += "\\/"
            elif plain and self.random.random() < 0.05:
                out += f"\\u{ord(c):04x}"
            else:
                out += c
            if quoted and not escaped and c == "\\":
                escaped = True
                continue
            if c == '"' and not escaped:
                quoted = not quoted
            escaped = False
            if not quoted and c in '{}[],:"' and self.random.random() < 0.2:
                out += self.pick([" ", "  ", "\r"])
        return out

    def properties(self):
        """Of MQTT 5.0: (name, value) as the evaluator sees them, and their bytes."""
        made, written = [], b""

        def text(value):
            value = value if isinstance(value, bytes) else value.encode()
            return len(value).to_bytes(2, "big") + value

        if self.random.random() < 0.7:
            return made, written
        for _ in range(self.random.randint(0, 3)):
            pair = (self.pick(["k", "key", "a"]), self.pick(["", "1", "\u00e4", "v"]))
            made.append(("user", pair))
            written += b"\x26" + text(pair[0]) + text(pair[1])
        for number, name, value in ((3, "content_type", "text/plain"), (8, "response_topic", "r/t"), (9, "correlation_data", b"\x01\xff")):
            if self.random.random() < 0.5:
                made.append((name, value))
                written += bytes([number]) + text(value)
        if self.random.random() < 0.5:
            made.append(("format_indicator", self.pick([0, 1])))
            written += bytes([1, made[-1][1]])
        return made, written

    # --- trees ---

    def leaf(self, version):
        kind = self.random.random()
        if kind < 0.4:
            return ("path", *(self.pick(FIELDS) for _ in range(self.pick([1, 1, 1, 2, 3]))))
        if kind < 0.65:
            return self.literal_number()
        if kind < 0.85:
            return ("constant", self.pick(TEXTS))
        if kind < 0.93:
            return ("constant", self.pick([True, False, None]))
        if kind < 0.97 and self.names:
            return ("variable", self.pick(self.names))
        if kind < 0.98 and self.stars and version == NEW:
            return ("object", [("all", ("star",))])
        return ("call", self.pick(NONE))

    def literal_number(self):
        text = self.number_text().lstrip("-")
        return ("number", text if "1000" not in text else "7")

    def tree(self, depth, version, want=None):
        """`want`: the type that it should mostly have: number, text, truth, array, object."""
        if want and self.random.random() < 0.85:
            return getattr(self, want)(depth, version)
        if depth == 0 or self.random.random() < 0.1:
            return self.leaf(version)
        kinds = ["number", "number", "number", "text", "text", "truth", "array", "object"]
        kind = self.random.random()
        if kind < 0.7:
            return getattr(self, self.pick(kinds))(depth, version)
        return self.pick([self.operation, self.call, self.cast, self.case, self.postfix])(depth - 1, version)

    # --- trees of a type ---

    def number(self, depth, version):
        if depth == 0:
            return self.literal_number() if self.random.random() < 0.5 else ("path", self.pick(["a", "b", "c", "n", "data1"]))
        kind = self.random.random()
        if kind < 0.4:
            return ("operator", self.pick("+-*/%"), self.tree(depth - 1, version, "number"), self.tree(depth - 1, version, "number"))
        if kind < 0.45:
            return ("negate", self.postfix_of(self.tree(depth - 1, version, "number")))
        if kind < 0.65:
            name = self.pick(["abs", "ceil", "floor", "round", "sign", "sqrt", "exp", "sin", "cos", "atan", "ln", "log", "bitnot", "tanh"])
            return ("call", name, self.tree(depth - 1, version, "number"))
        if kind < 0.8:
            name = self.pick(["mod", "trunc", "power", "atan2", "bitand", "bitor", "bitxor", "nanvl"])
            return ("call", name, self.tree(depth - 1, version, "number"), self.tree(depth - 1, version, "number"))
        if kind < 0.85 and version == NEW:
            return ("call", self.pick(["length", "numbytes"]), self.tree(depth - 1, version, "text"))
        if kind < 0.9:
            return ("call", "get", self.tree(depth - 1, version, "array"), ("number", self.pick("0123")))
        if kind < 0.95:
            return ("cast", self.pick(["Int", "Double", "INTEGER"]), self.tree(depth - 1, version, "number"))
        return self.number(0, version)

    def text(self, depth, version):
        if depth == 0:
            return ("constant", self.pick(TEXTS)) if self.random.random() < 0.6 else ("path", "text")
        kind = self.random.random()
        if kind < 0.25:
            return ("operator", "+", self.tree(depth - 1, version, "text"), self.tree(depth - 1, version))
        if kind < 0.45:
            name = self.pick(["lower", "upper", "ltrim", "rtrim", "trim", "md5", "sha256", "lower", "upper"])
            return ("call", name, self.tree(depth - 1, version, "text"))
        if kind < 0.6:
            bounds = [self.tree(depth - 1, version, "number") for _ in range(self.pick([1, 2]))]
            return ("call", "substring", self.tree(depth - 1, version, "text"), *bounds)
        if kind < 0.7:
            return ("call", self.pick(["lpad", "rpad"]), self.tree(depth - 1, version, "text"), ("number", self.pick(["0", "1.9", "3"])))
        if kind < 0.8:
            return self.regexp(depth - 1, version)
        if kind < 0.85:
            return ("call", "replace", *(self.tree(depth - 1, version, "text") for _ in range(3)))
        if kind < 0.9:
            return ("cast", "String", self.tree(depth - 1, version))
        return self.call(depth - 1, version)

    def truth(self, depth, version):
        if depth == 0:
            return ("constant", self.pick([True, False]))
        kind = self.random.random()
        if kind < 0.4:
            operator = self.pick(["<", "<=", ">", ">=", "=", "<>"])
            return ("operator", operator, self.tree(depth - 1, version, "number"), self.tree(depth - 1, version, "number"))
        if kind < 0.5:
            return ("operator", self.pick(["=", "<>"]), self.tree(depth - 1, version), self.tree(depth - 1, version))
        if kind < 0.7:
            return ("operator", self.pick(["AND", "OR"]), self.tree(depth - 1, version, "truth"), self.tree(depth - 1, version, "truth"))
        if kind < 0.8:
            return ("operator", "NOT", self.tree(depth - 1, version, "truth"))
        if kind < 0.85:
            return ("operator", "IN", self.tree(depth - 1, version), self.tree(depth - 1, version, "array"))
        if kind < 0.9:
            return ("call", self.pick(["startswith", "endswith"]), *(self.tree(depth - 1, version, "text") for _ in range(2)))
        return ("call", "isnull", self.tree(depth - 1, version)) if version == OLD else self.query(depth - 1, version)

    def array(self, depth, version):
        if depth == 0 or version == OLD:
            return ("path", "arr")
        kind = self.random.random()
        if kind < 0.4:
            return ("array", *(self.tree(depth - 1, version) for _ in range(self.random.randint(0, 3))))
        if kind < 0.8:
            return self.query(depth - 1, version)
        return ("call", "concat", self.tree(depth - 1, version, "array"), self.tree(depth - 1, version))

    def object(self, depth, version):
        if depth == 0 or version == OLD or self.random.random() < 0.2:
            return ("path", "o")
        if self.random.random() < 0.2:
            return ("call", "transform", ("constant", "enrichArray"), self.tree(depth - 1, version, "object"), self.query(depth - 1, version))
        keys = self.random.sample(FIELDS, self.random.randint(0, 3))
        return ("object", [(key, self.tree(depth - 1, version)) for key in keys])

    # --- trees of any type, which are mostly Undefined ---

    def operation(self, depth, version):
        operator = self.pick(["+", "+", "-", "*", "/", "%", "=", "<>", "<", "<=", ">", ">=", "AND", "OR", "NOT", "IN", "negate"])
        if operator == "negate":
            return ("negate", self.postfix_of(self.tree(depth, version)))
        if operator == "NOT":
            return ("operator", "NOT", self.tree(depth, version))
        return ("operator", operator, self.tree(depth, version), self.tree(depth, version))

    @staticmethod
    def postfix_of(tree):
        """A minus before a number is part of it, and the number is then passed on as it was written."""
        return ("path", "n") if tree[0] == "number" else tree

    def joda(self):
        if self.random.random() < 0.4:
            return self.pick(JODA)
        pieces = [self.pick(JODA_LETTERS) * self.random.randint(1, 5) for _ in range(self.random.randint(1, 5))]
        # A letter right behind itself would be one longer run; zzzz is no pattern.
        return self.pick(["-", " ", ":", " 'o''clock' ", "''", "/"]).join(piece[:3] if piece[0] == "z" else piece for piece in pieces)

    def date(self):
        """A text and a pattern that mostly fits it."""
        day, time, zone = self.pick(DATE_PATTERNS), self.pick(TIME_PATTERNS), self.pick(ZONE_PATTERNS)
        if self.random.random() < 0.15:
            return self.pick(DATES), day + time
        moment = datetime.datetime(2000, 1, 1) + datetime.timedelta(milliseconds=self.random.randint(-10**12, 10**12))
        text = day
        for letters, shape in (("''", "'"), ("'at'", "@"), ("yyyy", f"{moment.year:04}"), ("MMMM", "%B"), ("MMM", "%b"), ("MM", "%m"),
                               ("dd", f"{min(moment.day + self.pick([0, 0, 0, 5]), 32):02}"), ("@", "at")):
            text = text.replace(letters, moment.strftime(shape))
        clock = time.replace("'", "")
        for letters, shape in (("HH", "%H"), ("hh", "%I"), ("mm", "%M"), ("ss", "%S"), ("SSS", f"{moment.microsecond // 1000:03}"), ("a", "%p")):
            clock = clock.replace(letters, moment.strftime(shape))
        where = {"": "", "XXX": self.pick(["Z", "+05:30", "-08:00"]), " VV": " " + self.pick(ZONES)}[zone]
        return text + clock + where, day + time + zone

    def call(self, depth, version):
        def trees(count):
            return [self.tree(depth, version) for _ in range(count)]

        kind = self.random.random()
        if kind < 0.02:
            return ("call", "get_mqtt_property", ("constant", self.pick(PROPERTY_NAMES)))
        if kind < 0.04:
            return ("call", "get_user_properties", *([("constant", self.pick(["k", "key", "x"]))] if self.random.random() < 0.5 else []))
        if kind < 0.35:
            return ("call", self.pick(ANY1 + (NEW1 if version == NEW else [])), *trees(1))
        if kind < 0.65:
            return ("call", self.pick(ANY2 + (NEW2 if version == NEW else [])), *trees(2))
        if kind < 0.72:
            return ("call", self.pick(ANY3), *trees(3))
        if kind < 0.8:
            return self.regexp(depth, version)
        if kind < 0.84 or version == OLD:
            return ("call", self.pick(ANY1 + ANY2 + ["concat"]), *trees(self.random.randint(0, 4)))
        if kind < 0.89:
            zone = [("constant", self.pick(ZONES))] if self.random.random() < 0.7 else []
            return ("call", "parse_time", ("constant", self.joda()), ("number", str(self.random.randint(0, 4 * 10**12))), *zone)
        if kind < 0.93:
            return ("call", "time_to_epoch", *(("constant", text) for text in self.date()))
        if kind < 0.98:
            what = ("call", "encode", self.pick([self.star, self.tree])(depth, version), ("constant", "base64"))
            if self.random.random() < 0.5:
                what = ("call", "decode", self.pick([what, ("constant", self.pick(BASE64))]), ("constant", "base64"))
            return what
        return ("call", "transform", ("constant", self.pick(["enrichArray", "enrichArray", "x"])), *trees(2))

    def star(self, depth, version):
        return ("star",)

    def regexp(self, depth, version):
        name, pattern = self.pick(["regexp_matches", "regexp_substr", "regexp_replace"]), self.pick(PATTERNS)
        # A pattern that is an expression goes by way of the cache.
        shown = ("constant", pattern) if self.random.random() < 0.7 else ("operator", "+", ("constant", pattern), ("constant", ""))
        replacement = [("constant", self.pick(GROUP_REPLACEMENTS.get(pattern, REPLACEMENTS)))] if name == "regexp_replace" else []
        return ("call", name, self.tree(depth, version, "text"), shown, *replacement)

    def cast(self, depth, version):
        kinds = ["String", "Int", "Double", "Text", "INTEGER"] + (["Decimal", "Bool", "boolean"] if version == NEW else [])
        return ("cast", self.pick(kinds), self.tree(depth, version))

    def case(self, depth, version):
        branches = [(self.tree(depth, version), self.tree(depth, version)) for _ in range(self.random.randint(1, 3))]
        return ("case", self.tree(depth, version), branches, self.pick([None, self.tree(depth, version)]))

    def postfix(self, depth, version):
        inner = self.tree(depth, version)
        if inner[0] == "number":
            inner = ("path", "o")
        if self.random.random() < 0.5:
            return ("index", inner, self.tree(depth, version))
        return ("path", *inner[1:], "a") if inner[0] == "path" else ("member", inner, self.pick(FIELDS))

    def query(self, depth, version):
        query = self.select(depth, version, nested=True)
        query["source"] = ("path", *(self.pick(["arr", "o", "a", "arr"]) for _ in range(self.pick([1, 1, 2]))))
        if self.names and self.random.random() < 0.3:
            query["source"] = ("variable", self.pick(self.names))
        elif self.random.random() < 0.1:
            query["source"] = ("index", query["source"], ("number", self.pick("012")))
        query["name"] = self.pick(["", "el", "arr"])
        return (self.pick(["query", "query", "query", "exists"]), query)

    # --- statements ---

    def select(self, depth, version, nested=False):
        query = {"value": None, "items": [], "where": self.tree(depth, version, "truth") if self.random.random() < 0.3 else None}
        if self.random.random() < 0.35:
            query["value"] = self.tree(depth, version)
            return query
        if self.random.random() < (0.3 if nested else 0.2):
            query["items"].append((("star",), None))
        for _ in range(self.random.randint(0 if query["items"] else 1, 3)):
            item = self.tree(depth, version)
            alias = [self.pick(FIELDS) for _ in range(self.pick([1, 1, 1, 2]))]
            name = natural_name(item)
            if name and self.random.random() < 0.3:
                alias = Unwritten([name])
            query["items"].append((item, alias))
        return query

    def template(self, version):
        """Texts and trees by turns."""
        self.names = []
        texts = [self.pick(["", "a-", "/", "$", "{}", "\u00e4 "]) for _ in range(self.random.randint(1, 3))]
        return [piece for text in texts for piece in (text, self.tree(2, version)) if piece]

    def statement(self, version):
        self.names = []
        variables = []
        if version == NEW and self.random.random() < 0.2:
            for name in self.random.sample(["v", "w", "long_name_1"], self.random.randint(1, 3)):
                variables.append((name, self.tree(2, version)))
                self.names.append(name)
        statement = self.select(self.random.randint(1, 4), version)
        statement["variables"] = variables
        return statement


# --- text ---


def quote(text):
    for plain, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("'", "''")):
        text = text.replace(plain, escaped)
    return f"'{text}'"


def wrapped(tree, least):
    """The text of a tree, in parentheses if it binds less than that."""
    text, binds = show(tree)
    return text if binds >= least else f"({text})"


def show(tree):
    """(text, how strongly its outermost operator binds)"""
    kind, *parts = tree
    if kind == "number":
        return parts[0], POSTFIX
    if kind == "constant":
        return (quote(parts[0]) if isinstance(parts[0], str) else {True: "TRUE", False: "false", None: "NULL"}[parts[0]]), POSTFIX
    if kind == "path":
        return ".".join(parts), POSTFIX
    if kind == "star":
        return "*", POSTFIX
    if kind == "variable":
        return "@" + parts[0], POSTFIX
    if kind == "member":
        return f"{wrapped(parts[0], POSTFIX)}.{parts[1]}", POSTFIX
    if kind == "index":
        return f"{wrapped(parts[0], POSTFIX)}[{wrapped(parts[1], 0)}]", POSTFIX
    if kind == "negate":
        return f"-{wrapped(parts[0], POSTFIX)}", UNARY
    if kind == "operator" and parts[0] == "NOT":
        return f"NOT {wrapped(parts[1], PRECEDENCE['='])}", PRECEDENCE["NOT"]
    if kind == "operator":
        binds = PRECEDENCE[parts[0]]
        left = binds + (binds == PRECEDENCE["="])  # comparisons cannot be chained
        return f"{wrapped(parts[1], left)} {parts[0]} {wrapped(parts[2], binds + 1)}", binds
    if kind == "cast":
        return f"CAST({wrapped(parts[1], 0)} AS {parts[0]})", POSTFIX
    if kind == "call":
        return f"{parts[0]}({', '.join(wrapped(part, 0) for part in parts[1:])})", POSTFIX
    if kind == "array":
        return f"[{', '.join(wrapped(part, 0) for part in parts)}]", POSTFIX
    if kind == "object":
        return "{" + ", ".join(f'"{key}": {wrapped(value, 0)}' for key, value in parts[0]) + "}", POSTFIX
    if kind == "case":
        branches = " ".join(f"WHEN {wrapped(when, 0)} THEN {wrapped(then, 0)}" for when, then in parts[1])
        otherwise = f" ELSE {wrapped(parts[2], 0)}" if parts[2] is not None else ""
        return f"CASE {wrapped(parts[0], 0)} {branches}{otherwise} END", POSTFIX
    text = f"({show_select(parts[0])} FROM {wrapped(parts[0]['source'], 0)}"
    text += f" AS {parts[0]['name']}" if parts[0]["name"] else ""
    text += show_where(parts[0]) + ")"
    return (text, POSTFIX) if kind == "query" else ("EXISTS " + text, PRECEDENCE["="])


def show_select(select):
    if select["value"] is not None:
        return f"SELECT VALUE {wrapped(select['value'], 0)}"
    items = (wrapped(item, 0) + (f" AS {'.'.join(alias)}" if alias and not isinstance(alias, Unwritten) else "") for item, alias in select["items"])
    return "SELECT " + ", ".join(items)


def show_where(select):
    return f" WHERE {wrapped(select['where'], 0)}" if select["where"] is not None else ""


def show_template(pieces):
    return "template:" + "".join(piece if isinstance(piece, str) else "${" + wrapped(piece, 0) + "}" for piece in pieces)


def show_statement(statement):
    variables = ", ".join(f"@{name} = {wrapped(tree, 0)}" for name, tree in statement["variables"])
    return (f"SET {variables} " if variables else "") + show_select(statement) + " FROM 'dev/#'" + show_where(statement)
