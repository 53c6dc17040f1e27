"""The dialect as an evaluator that is slow and obvious: trees of tuples over Python's own values, numbers by `decimal`.

Written from the reference (AWS IoT Core Developer Guide, "SQL reference"), not from src/rule. Values: UNDEFINED, None, bool, Num,
str, list, dict. A tree is a tuple whose first item says what it is; `evaluate` has a branch for each.
"""
import base64
import datetime
import hashlib
import json
import math
import re
import zoneinfo
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

OLD, NEW = "2015-10-08", "2016-03-23"
UNDEFINED = type("Undefined", (), {"__repr__": lambda self: "Undefined"})()
CONTEXT = Context(prec=34, Emax=999999, Emin=-999999)  # half even; the dialect's own range is checked by hand
WIDE = Context(prec=4000, Emax=999999, Emin=-999999)
PATTERN = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)?", re.ASCII)
LONG_SEARCH_CHARACTERS = 500  # at two bytes each
NOW_MS, RANDOM, UUID, ACCOUNT = 1700000000123, 0.25, "6fa459ea-ee8a-4ca4-894e-db77e160355e", "123456789012"


class Num:
    """A number; there is no negative zero. `text` is how it was written, as long as it is only passed on; `beyond`: the dialect has no
    room for it."""

    def __init__(self, value, is_int, text=None, beyond=False):
        self.value = value if value is None or value != 0 else value.copy_abs()
        self.is_int, self.text, self.beyond = is_int, text, beyond

    def __repr__(self):
        return f"Num({self.value}, {'Int' if self.is_int else 'Decimal'}, {self.text})"


def in_range(value):
    return value == 0 or -999 <= value.adjusted() <= 999


def is_whole(value):
    """Whole and of at most 34 digits."""
    return value.copy_abs() < Decimal(10) ** 34 and value == value.to_integral_value(context=WIDE)


def round_34(value):
    return CONTEXT.create_decimal(value)


class World:
    """One message and one version. `properties`: of MQTT 5.0, as (name, value), of a user as ("user", (key, value))."""

    def __init__(self, version, payload, topic, properties=()):
        self.version, self.topic, self.properties = version, topic, properties
        self.payload_bytes = payload.encode(errors="surrogateescape")
        self.payload = {} if not payload else self.document(payload)
        self.missed = False  # * of a payload that is no document
        self.long_search = False  # a regular expression went over more than Weir searches, which then may give nothing
        self.variables = {}
        self.scopes = []  # (element, name), innermost last

    def document(self, payload):
        """Objects and arrays; all else is no document."""
        try:
            payload.encode()
            read = json.loads(payload, parse_int=self.read_number, parse_float=self.read_number, parse_constant=refuse)
        except ValueError:
            return UNDEFINED
        return read if isinstance(read, (dict, list)) else UNDEFINED

    # --- numbers ---

    def read_number(self, text):
        mantissa, _, exponent = text.lower().partition("e")
        value = round_34(Decimal(mantissa)).scaleb(max(min(int(exponent or 0), 99999), -99999), context=WIDE)
        if not in_range(value):
            return Num(None, False, text, beyond=True)
        digits_only = re.fullmatch("-?[0-9]+", text)
        if is_whole(value) and (self.version == NEW or digits_only):
            return Num(value, True)
        return Num(value, False, text)

    def number(self, value, ints=False):
        """A computed one. In the old version only two Ints give an Int."""
        if not in_range(value):
            return UNDEFINED
        return Num(value, is_whole(value) and (self.version == NEW or ints))

    def double(self, number):
        return self.number(Decimal(repr(number))) if math.isfinite(number) else UNDEFINED

    def to_number(self, value):
        if isinstance(value, str):
            if not PATTERN.fullmatch(value):
                return None
            value = self.read_number(value)
            value.text = None
        return value if isinstance(value, Num) and not value.beyond else None

    def to_whole(self, value, rounding):
        """floor, or nearest with halves away from zero; nearest cuts strings."""
        if rounding == ROUND_HALF_UP and isinstance(value, str):
            rounding = ROUND_DOWN
        number = self.to_number(value)
        return None if number is None else int(number.value.to_integral_value(rounding=rounding, context=WIDE))

    # --- text ---

    def write_number(self, number):
        if number.text is not None:
            return number.text
        sign, digits, exponent = number.value.as_tuple()
        digits = "".join(map(str, digits)).lstrip("0")
        if not digits:
            return "0.0" if self.version == OLD and not number.is_int else "0"
        stripped = digits.rstrip("0")
        exponent += len(digits) - len(stripped)
        minus = "-" if sign else ""
        highest = len(stripped) - 1 + exponent
        if exponent >= 0 and highest < 34:
            return minus + stripped + "0" * exponent + (".0" if self.version == OLD and not number.is_int else "")
        if exponent > 0 or highest < -7:
            fraction = "." + stripped[1:] if len(stripped) > 1 else ""
            return f"{minus}{stripped[0]}{fraction}E{highest}"
        if highest < 0:
            return f"{minus}0.{'0' * (-highest - 1)}{stripped}"
        return f"{minus}{stripped[:highest + 1]}.{stripped[highest + 1:]}"

    def write(self, value):
        if value is UNDEFINED:
            return ""
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, Num):
            return self.write_number(value)
        if isinstance(value, str):
            return write_string(value)
        if isinstance(value, list):
            return "[" + ",".join(map(self.write, value)) + "]"
        return "{" + ",".join(write_string(key) + ":" + self.write(item) for key, item in value.items()) + "}"

    def to_string(self, value):
        if value is None or value is UNDEFINED:
            return None
        return value if isinstance(value, str) else self.write(value)

    # --- operators ---

    def equal(self, a, b):
        if isinstance(a, Num) and isinstance(b, Num):
            return a.text == b.text if a.beyond and b.beyond else not a.beyond and not b.beyond and a.value == b.value
        if type(a) is not type(b):
            return False
        if isinstance(a, list):
            return len(a) == len(b) and all(map(self.equal, a, b))
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(self.equal(a[key], b[key]) for key in a)
        return a == b

    def compare(self, operator, a, b):
        if not isinstance(a, (Num, str)) or not isinstance(b, (Num, str)):
            return UNDEFINED
        a, b = self.to_number(a), self.to_number(b)
        if a is None or b is None:
            return UNDEFINED
        a, b = a.value, b.value
        return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]

    def arithmetic(self, operator, a, b):
        a, b = self.to_number(a), self.to_number(b)
        if a is None or b is None or (operator in "/%" and b.value == 0):
            return UNDEFINED
        if operator == "%":
            left, right = Fraction(a.value), Fraction(b.value)
            rest = left - right * math.trunc(left / right)
            value = WIDE.divide(Decimal(rest.numerator), Decimal(rest.denominator))
        else:
            value = {"+": CONTEXT.add, "-": CONTEXT.subtract, "*": CONTEXT.multiply, "/": CONTEXT.divide}[operator](
                a.value, b.value)
        return self.number(value, a.is_int and b.is_int)

    def add(self, a, b):
        if isinstance(a, str) or isinstance(b, str):
            a, b = self.to_string(a), self.to_string(b)
            return UNDEFINED if a is None or b is None else a + b
        return self.arithmetic("+", a, b) if isinstance(a, Num) and isinstance(b, Num) else UNDEFINED

    @staticmethod
    def to_boolean(value):
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        return value if isinstance(value, bool) else None

    def logic(self, operator, *operands):
        operands = [self.to_boolean(operand) for operand in operands]
        if None in operands:
            return UNDEFINED
        return {"NOT": lambda: not operands[0], "AND": lambda: all(operands), "OR": lambda: any(operands)}[operator]()

    def cast(self, kind, value):
        if kind in ("String", "Text", "NVARCHAR"):
            text = self.to_string(value)
            return UNDEFINED if text is None else text
        if kind in ("Bool", "boolean"):
            if isinstance(value, Num):
                return UNDEFINED if value.beyond else value.value != 0
            truth = self.to_boolean(value)
            return UNDEFINED if truth is None else truth
        if kind in ("Int", "INTEGER"):
            whole = int(value) if isinstance(value, bool) else self.to_whole(value, ROUND_FLOOR)
            return UNDEFINED if whole is None else self.whole(whole)
        if isinstance(value, bool):
            return self.number(Decimal(int(value)))
        number = self.to_number(value)
        if number is None:
            return UNDEFINED
        return self.double(float(number.value)) if kind == "Double" and not number.is_int else number

    @staticmethod
    def whole(number):
        value = Decimal(number)
        return Num(value, is_whole(value))

    # --- trees ---

    def name(self, name):
        for element, own_name in reversed(self.scopes):
            if own_name == name:
                return element
            if isinstance(element, dict) and name in element:
                return element[name]
        return self.payload.get(name, UNDEFINED) if isinstance(self.payload, dict) else UNDEFINED

    @staticmethod
    def member(value, name):
        return value.get(name, UNDEFINED) if isinstance(value, dict) else UNDEFINED

    def evaluate(self, tree):
        kind, *parts = tree
        return getattr(self, "on_" + kind)(*parts)

    def on_number(self, text):
        return self.read_number(text)

    def on_constant(self, value):
        return value

    def on_path(self, *names):
        value = self.name(names[0])
        for name in names[1:]:
            value = self.member(value, name)
        return value

    def on_star(self):
        if not self.scopes and self.payload is UNDEFINED:
            self.missed = True
        return self.scopes[-1][0] if self.scopes else self.payload

    def on_variable(self, name):
        return self.variables[name]

    def on_member(self, tree, name):
        return self.member(self.evaluate(tree), name)

    def on_index(self, tree, index):
        return FUNCTIONS["get"](self, self.evaluate(tree), self.evaluate(index))

    def on_negate(self, tree):
        return self.arithmetic("-", Num(Decimal(0), True), self.evaluate(tree))

    def on_operator(self, operator, *operands):
        if operator in ("NOT", "AND", "OR"):
            return self.logic(operator, *map(self.evaluate, operands))
        a, b = map(self.evaluate, operands)
        if operator in ("=", "<>"):
            return UNDEFINED if UNDEFINED in (a, b) else self.equal(a, b) == (operator == "=")
        if operator == "IN":
            if a is UNDEFINED or not isinstance(b, list):
                return UNDEFINED
            return any(self.equal(a, item) for item in b)
        if operator == "+":
            return self.add(a, b)
        return self.compare(operator, a, b) if operator[0] in "<>" else self.arithmetic(operator, a, b)

    def on_cast(self, kind, tree):
        return self.cast(kind, self.evaluate(tree))

    def on_case(self, tree, branches, otherwise):
        value = self.evaluate(tree)
        if value is UNDEFINED:
            return UNDEFINED
        for when, then in branches:
            constant = self.evaluate(when)
            if constant is not UNDEFINED and self.equal(value, constant):
                return self.evaluate(then)
        return UNDEFINED if otherwise is None else self.evaluate(otherwise)

    def on_object(self, members):
        made = {}
        for key, tree in members:
            value = self.evaluate(tree)
            if value is not UNDEFINED:
                made[key] = value
        return made

    def on_array(self, *trees):
        return [value for value in map(self.evaluate, trees) if value is not UNDEFINED]

    def on_call(self, name, *trees):
        if name == "encode" and trees[0] == ("star",) and not self.scopes:
            return base64.b64encode(self.payload_bytes).decode()
        values = [self.evaluate(tree) for tree in trees]
        return FUNCTIONS[name](self, *values)

    # --- SELECT ---

    def passes(self, where):
        return where is None or self.to_boolean(self.evaluate(where)) is True

    def select(self, select):
        if select.get("value") is not None:
            return self.evaluate(select["value"])
        if select["items"] == [(("star",), None)]:
            return self.on_star()
        made, tree = {}, {}
        for item, alias in select["items"]:
            if item == ("star",) and alias is None:
                if not isinstance(self.on_star(), dict):  # items need an object to stand beside
                    self.missed = self.missed or not self.scopes
                    return UNDEFINED
                made.update(self.on_star())
                continue
            place = tree
            for segment in alias[:-1]:
                if not isinstance(place.get(segment), dict):
                    place[segment] = {}
                place = place[segment]
            place[alias[-1]] = item
        made.update(self.output(tree))
        return made

    def output(self, tree):
        made = {}
        for key, item in tree.items():
            value = self.output(item) or UNDEFINED if isinstance(item, dict) else self.evaluate(item)
            if value is not UNDEFINED:
                made[key] = value
        return made

    def elements(self, query):
        """What passes WHERE, as (whether it passed, what SELECT makes of it)."""
        source = self.evaluate(query["source"])
        if not isinstance(source, (list, dict)):
            return None, source
        made = []
        for element in source if isinstance(source, list) else [source]:
            self.scopes.append((element, query["name"]))
            passed = self.passes(query["where"])
            made.append((passed, self.select(query) if passed else UNDEFINED))
            self.scopes.pop()
        return made, source

    def on_query(self, query):
        made, source = self.elements(query)
        if made is None:
            return UNDEFINED
        if isinstance(source, dict):
            return made[0][1]
        return [value for passed, value in made if passed and value is not UNDEFINED]

    def on_exists(self, query):
        made, _ = self.elements(query)
        return UNDEFINED if made is None else any(passed for passed, _ in made)

    def statement(self, statement):
        """The text of the outgoing payload, or "-"."""
        for name, tree in statement["variables"]:
            self.variables[name] = self.evaluate(tree)
        if not self.passes(statement["where"]):
            return "-"
        if statement.get("value") is None and statement["items"] == [(("star",), None)]:
            return self.payload_bytes.decode(errors="surrogateescape")
        value = self.select(statement)
        if self.missed:
            return "! unreadable"
        if statement.get("value") is not None and self.version == OLD and isinstance(value, (list, dict)):
            return ""
        return self.write(value)


    def template(self, pieces):
        """Texts and trees, joined: a JSON string."""
        values = (piece if isinstance(piece, str) else self.evaluate(piece) for piece in pieces)
        return write_string("".join(self.to_string(value) or "" for value in values))


def write_string(text):
    return json.dumps(text, ensure_ascii=False)


# --- functions: of the world and the arguments ---

FUNCTIONS = {}


def function(*arities):
    """Another number of arguments makes the call Undefined."""

    def register(implementation):
        def call(world, *values):
            return implementation(world, *values) if not arities or len(values) in arities else UNDEFINED

        FUNCTIONS[implementation.__name__.rstrip("_")] = call
        return implementation

    return register


def on_texts(names, implementation, arity):
    """Arguments converted to String; Null and Undefined make it Undefined."""

    def call(world, *values):
        texts = [world.to_string(value) for value in values]
        world.long_search |= names.startswith("regexp_") and len((texts[:1] or [""])[0] or "") > LONG_SEARCH_CHARACTERS
        return UNDEFINED if len(values) != arity or None in texts else implementation(*texts)

    FUNCTIONS[names] = call


def on_doubles(name, implementation, arity=1):
    def call(world, *values):
        numbers = [world.to_number(value) for value in values]
        if len(values) != arity or None in numbers:
            return UNDEFINED
        try:
            return world.double(implementation(*(float(number.value) for number in numbers)))
        except (ValueError, OverflowError, ZeroDivisionError):
            return UNDEFINED

    FUNCTIONS[name] = call


for double_name, double_function in {
    "acos": math.acos, "asin": math.asin, "atan": math.atan, "cos": math.cos, "cosh": math.cosh, "exp": math.exp, "ln": math.log,
    "log": math.log10, "sin": math.sin, "sinh": math.sinh, "sqrt": math.sqrt, "tan": math.tan, "tanh": math.tanh,
}.items():
    on_doubles(double_name, double_function)
on_doubles("power", math.pow, 2)
on_doubles("atan2", math.atan2, 2)


def on_rounding(name, rounding):
    def call(world, *values):
        whole = world.to_whole(world.to_number(values[0]), rounding) if len(values) == 1 else None
        return UNDEFINED if whole is None else world.whole(whole)

    FUNCTIONS[name] = call


on_rounding("ceil", ROUND_CEILING)
on_rounding("floor", ROUND_FLOOR)
on_rounding("round", ROUND_HALF_UP)


@function(1)
def abs_(world, x):
    number = world.to_number(x)
    return UNDEFINED if number is None else Num(number.value.copy_abs(), number.is_int)


@function(1)
def sign(world, x):
    number = world.to_number(x)
    return UNDEFINED if number is None else world.whole((number.value > 0) - (number.value < 0))


@function(2)
def mod(world, a, b):
    return world.arithmetic("%", a, b)


FUNCTIONS["remainder"] = FUNCTIONS["mod"]


@function(2)
def nanvl(world, x, y):
    return y if x is None or x is UNDEFINED else x


@function(0)
def rand(world):
    return world.double(RANDOM)


@function(2)
def trunc(world, x, places):
    number = world.to_number(x)
    whole = world.to_whole(places, ROUND_FLOOR) if isinstance(places, Num) else None
    if number is None or whole is None:
        return UNDEFINED
    unit = Decimal(1).scaleb(-min(max(whole, 0), 34))
    value = number.value.quantize(unit, rounding=ROUND_DOWN, context=WIDE)
    return Num(value, is_whole(value))


def on_bits(name, implementation):
    def call(world, *values):
        wholes = [world.to_whole(value, ROUND_FLOOR) for value in values]
        if len(values) != implementation.__code__.co_argcount or None in wholes or any(abs(w) >= 10 ** 34 for w in wholes):
            return UNDEFINED
        bits = implementation(*wholes)
        return world.whole(bits) if abs(bits) < 10 ** 34 else UNDEFINED

    FUNCTIONS[name] = call


on_bits("bitand", lambda a, b: a & b)
on_bits("bitor", lambda a, b: a | b)
on_bits("bitxor", lambda a, b: a ^ b)
on_bits("bitnot", lambda a: ~a)


@function(1)
def chr_(world, code):
    whole = world.to_whole(code, ROUND_FLOOR)
    return UNDEFINED if whole is None or not 0 <= whole <= 127 else chr(whole)


@function()
def concat(world, *values):
    if len(values) < 2:
        return values[0] if values else UNDEFINED
    if any(isinstance(value, list) for value in values):
        return [item for value in values if value is not UNDEFINED
                for item in (value if isinstance(value, list) else [value])]
    texts = [world.to_string(value) for value in values]
    return "".join(texts) if any(isinstance(value, str) for value in values) and None not in texts else UNDEFINED


on_texts("startswith", str.startswith, 2)
on_texts("endswith", str.endswith, 2)
on_texts("lower", str.lower, 1)
on_texts("upper", str.upper, 1)
on_texts("ltrim", lambda text: text.lstrip(" \t"), 1)
on_texts("rtrim", lambda text: text.rstrip(" \t"), 1)
on_texts("trim", lambda text: text.strip(" \t\r\n\f\v"), 1)
on_texts("replace", lambda text, what, by: text.replace(what, by) if what else text, 3)
on_texts("regexp_matches", lambda text, pattern: re.search(pattern, text, re.ASCII) is not None, 2)
on_texts("regexp_substr", lambda text, pattern: found.group() if (found := re.search(pattern, text, re.ASCII)) else UNDEFINED, 2)
on_texts("regexp_replace", lambda text, pattern, by: re.sub(pattern, re.sub(r"\$([0-9])", r"\\g<\1>", by), text, flags=re.ASCII), 3)
for hash_name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"):
    on_texts(hash_name, lambda text, name=hash_name: hashlib.new(name, text.encode()).hexdigest(), 1)


@function(1)
def length(world, text):
    text = world.to_string(text)
    return UNDEFINED if text is None else world.whole(len(text))


@function(1)
def numbytes(world, text):
    text = world.to_string(text)
    return UNDEFINED if text is None else world.whole(len(text.encode()))


@function(2)
def indexof(world, text, what):
    if isinstance(text, list):
        return UNDEFINED
    text, what = world.to_string(text), world.to_string(what)
    return UNDEFINED if text is None or what is None else world.whole(text.find(what))


def padding(world, text, count):
    text, whole = world.to_string(text), world.to_whole(count, ROUND_FLOOR)
    return (None, None) if text is None or whole is None else (text, " " * min(max(whole, 0), 1000))


@function(2)
def lpad(world, text, count):
    text, blanks = padding(world, text, count)
    return UNDEFINED if text is None else blanks + text


@function(2)
def rpad(world, text, count):
    text, blanks = padding(world, text, count)
    return UNDEFINED if text is None else text + blanks


@function(2, 3)
def substring(world, text, *bounds):
    text, wholes = world.to_string(text), [world.to_whole(bound, ROUND_FLOOR) for bound in bounds]
    if text is None or None in wholes:
        return UNDEFINED
    clamped = [min(max(whole, 0), len(text)) for whole in wholes]
    return text[clamped[0]:clamped[1]] if len(clamped) == 2 else text[clamped[0]:]


@function(2)
def get(world, container, key):
    if isinstance(container, dict):
        return container.get(key, UNDEFINED) if isinstance(key, str) else UNDEFINED
    index = world.to_whole(key, ROUND_HALF_UP)
    if not isinstance(container, (list, str)) or index is None or not 0 <= index < len(container):
        return UNDEFINED
    return container[index]


@function(1, 2)
def get_or_default(world, value, default=UNDEFINED):
    return default if value is None or value is UNDEFINED else value


@function(1)
def isnull(world, value):
    return value is None


@function(1)
def isundefined(world, value):
    return value is UNDEFINED


@function(3)
def transform(world, mode, attributes, array):
    if mode != "enrichArray" or not isinstance(attributes, dict) or not isinstance(array, list) or \
            not all(isinstance(item, dict) for item in array):
        return UNDEFINED
    return [{**item, **attributes} for item in array]


@function(2)
def encode(world, value, scheme):
    text = world.to_string(value)
    return UNDEFINED if text is None else base64.b64encode(text.encode()).decode()


@function(2)
def decode(world, text, scheme):
    if not isinstance(text, str):
        return UNDEFINED
    padded = text + "=" * (-len(text) % 4) if not text.endswith("=") else text
    if len(text) % 4 == 1 or not re.fullmatch("([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", padded) or \
            base64.b64encode(base64.b64decode(padded)).decode() != padded:  # bits left over
        return None
    decoded = base64.b64decode(padded).decode(errors="replace")
    try:
        return json.loads(decoded, parse_int=world.read_number, parse_float=world.read_number, parse_constant=refuse)
    except ValueError:
        return decoded


def refuse(name):
    raise ValueError(name)


def joda_text(moment, milliseconds, letter, count):
    """A run of one of Joda-Time's letters (DateTimeFormat), for years from 1 to 9999."""

    def number(value):
        return str(value).rjust(count, "0")

    def year(value):
        return f"{value % 100:02}" if count == 2 else number(value)

    def name(full):
        return full if count >= 4 else full[:3]

    iso = moment.isocalendar()
    offset = moment.strftime("%z")
    return {
        "G": lambda: "AD", "C": lambda: number(moment.year // 100), "Y": lambda: year(moment.year), "y": lambda: year(moment.year),
        "x": lambda: year(iso[0]), "w": lambda: number(iso[1]), "e": lambda: number(iso[2]), "E": lambda: name(moment.strftime("%A")),
        "M": lambda: name(moment.strftime("%B")) if count >= 3 else number(moment.month), "d": lambda: number(moment.day),
        "D": lambda: number(moment.timetuple().tm_yday), "a": lambda: "AM" if moment.hour < 12 else "PM",
        "K": lambda: number(moment.hour % 12), "h": lambda: number(moment.hour % 12 or 12), "H": lambda: number(moment.hour),
        "k": lambda: number(moment.hour or 24), "m": lambda: number(moment.minute), "s": lambda: number(moment.second),
        "S": lambda: f"{milliseconds:03}".ljust(count, "0")[:count], "z": lambda: moment.strftime("%Z"),
        "Z": lambda: str(moment.tzinfo) if count > 2 else f"{offset[:3]}:{offset[3:]}" if count == 2 else offset,
    }[letter]()


@function(2, 3)
def parse_time(world, pattern, ms, zone="UTC"):
    if not isinstance(ms, Num) and not isinstance(ms, str):
        return UNDEFINED
    whole = world.to_whole(ms, ROUND_FLOOR)
    if whole is None or not isinstance(pattern, str) or not isinstance(zone, str) or not 0 <= whole < 4102444800000:
        return UNDEFINED
    moment = datetime.datetime.fromtimestamp(whole // 1000, zoneinfo.ZoneInfo(zone))
    text = ""
    for quoted, letters, plain in split_pattern(pattern):
        text += quoted or plain or joda_text(moment, whole % 1000, letters[0], len(letters))
    return text


def split_pattern(pattern):
    """Its pieces, as (quoted text, letters, other text), of which one is not empty."""
    for found in re.finditer(r"'(?P<quoted>(?:[^']|'')*)'|(?P<letters>(?P<one>[A-Za-z])(?P=one)*)|(?P<plain>[^A-Za-z']+)", pattern):
        quoted = None if found["quoted"] is None else found["quoted"].replace("''", "'") or "'"
        yield quoted or "", found["letters"] or "", found["plain"] or ""


MONTHS = [datetime.date(2000, month, 1).strftime("%B") for month in range(1, 13)]
JDK_LETTERS = {"yyyy": "[0-9]{4}", "MM": "[0-9]{2}", "dd": "[0-9]{2}", "HH": "[0-9]{2}", "mm": "[0-9]{2}", "ss": "[0-9]{2}",
               "SSS": "[0-9]{3}", "hh": "[0-9]{2}", "a": "[AP]M", "MMM": "|".join(month[:3] for month in MONTHS),
               "MMMM": "|".join(MONTHS), "XXX": "Z|[+-][0-9]{2}:[0-9]{2}", "VV": "[A-Za-z]+(?:/[A-Za-z_]+)*"}


@function(2)
def time_to_epoch(world, text, pattern):
    """By the letters above, each of them once at most."""
    if not isinstance(text, str) or not isinstance(pattern, str):
        return UNDEFINED
    expression = "".join(re.escape(quoted or plain) if not letters else f"(?P<{letters}>{JDK_LETTERS[letters]})"
                         for quoted, letters, plain in split_pattern(pattern))
    found = re.fullmatch(expression, text, re.ASCII)
    said = {key: value for key, value in found.groupdict().items() if value is not None} if found else {}
    if "yyyy" not in said:
        return UNDEFINED
    numbers = {key: int(value) for key, value in said.items() if value.isdigit()}
    month = numbers.get("MM") or next(i for i, name in enumerate(MONTHS, 1) if name[:3] == (said.get("MMM") or said["MMMM"])[:3])
    hour, day = numbers.get("HH", 0), numbers["dd"]
    if "hh" in said:
        if not 1 <= numbers["hh"] <= 12:
            return UNDEFINED
        hour = numbers["hh"] % 12 + 12 * (said["a"] == "PM")
    try:
        zone = zoneinfo.ZoneInfo(said["VV"]) if "VV" in said else datetime.timezone.utc
        if said.get("XXX", "Z") != "Z":
            hours, minutes = int(said["XXX"][:3]), int(said["XXX"][0] + said["XXX"][4:])
            zone = datetime.timezone(datetime.timedelta(hours=hours, minutes=minutes))
        if not 1 <= day <= 31 or not numbers["yyyy"]:
            return UNDEFINED
        last = (datetime.date(numbers["yyyy"] + month // 12, month % 12 + 1, 1) - datetime.timedelta(1)).day
        moment = datetime.datetime(numbers["yyyy"], month, min(day, last), hour, numbers.get("mm", 0), numbers.get("ss", 0),
                                   1000 * numbers.get("SSS", 0), zone)
    except (ValueError, zoneinfo.ZoneInfoNotFoundError):
        return UNDEFINED
    return world.whole((moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(milliseconds=1))


@function(0, 1)
def topic(world, *n):
    if not n:
        return world.topic
    whole, levels = world.to_whole(n[0], ROUND_FLOOR), world.topic.split("/")
    return UNDEFINED if whole is None or not 1 <= whole <= len(levels) else levels[whole - 1]


@function(1)
def get_mqtt_property(world, name):
    value = dict(world.properties).get(name if isinstance(name, str) and name != "user" else None)
    if name == "format_indicator":
        return "UTF8_DATA" if value == 1 else "UNSPECIFIED_BYTES"
    if value is None:
        return UNDEFINED
    return base64.b64encode(value).decode() if name == "correlation_data" else value


@function(0, 1)
def get_user_properties(world, *key):
    pairs = [value for name, value in world.properties if name == "user"]
    found = [value for one, value in pairs if one == key[0]] if key else [{one: value} for one, value in pairs]
    return found or UNDEFINED


for constant_name, constant in {"clientid": "client-7", "sourceip": "192.0.2.9", "accountid": ACCOUNT, "newuuid": UUID,
                                "traceid": UUID}.items():
    FUNCTIONS[constant_name] = lambda world, *none, value=constant: UNDEFINED if none else value
FUNCTIONS["timestamp"] = lambda world, *none: UNDEFINED if none else world.whole(NOW_MS)
FUNCTIONS["sql_version"] = lambda world, *none: UNDEFINED if none else world.version
FUNCTIONS["principal"] = lambda world, *none: UNDEFINED
