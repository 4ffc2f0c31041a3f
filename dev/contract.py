"""Holds recorded exchanges against an OpenAPI document; see contract.sh. Needs nothing but Python."""

import json
import pathlib
import re
import sys
import urllib.parse

UUID = re.compile(r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$")
FORMATS = {
    "uuid": UUID,
    "date-time": re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"),
    "date": re.compile(r"^\d{4}-\d\d-\d\d$"),
    "uri": re.compile(r"^(https?://\S+)?$"),
    "decimal": re.compile(r"^-?\d+(\.\d+)?$"),
    "email": re.compile(r"^(\S+@\S+)?$"),
}
# How the types of query parameters are written.
WORDS = {"boolean": lambda text: {"true": True, "false": False}[text.lower()], "integer": int, "number": float}
KINDS = {
    "contract": "in the contract's form",
    "framework": "in the framework's, the contract being silent",
    "empty": "without a body",
    "form": "of a malformed request, which was not checked",
}


class Contract:
    def __init__(self, document):
        self.document = document
        self.paths = []
        for template, operations in document["paths"].items():
            pattern = re.compile("^" + re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(template)) + "$")
            # What is spelled out counts before what has a place for an id.
            self.paths.append((template.count("{"), template, pattern, operations))
        self.paths.sort(key=lambda path: path[0])

    def resolve(self, thing):
        while isinstance(thing, dict) and "$ref" in thing:
            found = self.document
            for key in thing["$ref"].lstrip("#/").split("/"):
                found = found[key]
            thing = found
        return thing

    def operation(self, method, path):
        """The template and the operation; the template alone when the path lacks the method."""
        template = None
        for _, candidate, pattern, operations in self.paths:
            if pattern.match(path):
                template = template or candidate
                if method.lower() in operations:
                    return candidate, operations, operations[method.lower()]
        return template, None, None

    def parameters(self, operations, operation):
        named = [self.resolve(item) for item in operations.get("parameters", []) + operation.get("parameters", [])]
        return {item["name"]: item for item in named if item["in"] == "query"}

    def members(self, schema):
        """The names of an object's members, or of those of a list's items."""
        schema = self.resolve(schema or {})
        if schema.get("type") == "array":
            return self.members(schema.get("items"))
        parts = schema.get("allOf", []) + schema.get("oneOf", [])
        return set(schema.get("properties", {})).union(*(self.members(part) for part in parts))

    def check(self, schema, value, place, partial, request):
        """What is wrong with a value; `partial` if members may be missing."""
        # Recordings have their secrets taken out.
        if isinstance(value, str) and "redacted" in value.lower():
            return []
        schema = self.resolve(schema or {})
        if "allOf" in schema and len(schema["allOf"]) == 1:
            nullable = schema.get("nullable")
            schema = dict(self.resolve(schema["allOf"][0]))
            if nullable:
                schema["nullable"] = True
        elif "allOf" in schema:
            merged = {"type": "object", "properties": {}, "required": []}
            for part in map(self.resolve, schema["allOf"]):
                merged["properties"].update(part.get("properties", {}))
                merged["required"] += part.get("required", [])
            schema = merged
        if value is None:
            allowed = schema.get("nullable") or not schema.get("type") and not schema.get("oneOf")
            nothing = [self.resolve(part) for part in schema.get("oneOf", [])]
            if allowed or any(None in part.get("enum", []) for part in nothing):
                return []
            return [f"{place}: null is not allowed"]
        for choice in ("oneOf", "anyOf"):
            if choice in schema:
                attempts = [self.check(part, value, place, partial, request) for part in schema[choice]]
                return min(attempts, key=len)
        if "enum" in schema and value not in schema["enum"]:
            return [f"{place}: {value!r} is none of the words"]
        kind = schema.get("type")
        if kind is None and "properties" not in schema:
            return []
        return getattr(self, "check_" + (kind or "object"))(schema, value, place, partial, request)

    def check_object(self, schema, value, place, partial, request):
        if not isinstance(value, dict):
            return [f"{place}: not an object"]
        properties, rest = schema.get("properties", {}), schema.get("additionalProperties")
        problems = []
        for name, member in value.items():
            inner = f"{place}.{name}"
            if name in properties:
                if request and self.resolve(properties[name]).get("readOnly"):
                    problems.append(f"{inner}: is only read")
                problems += self.check(properties[name], member, inner, partial, request)
            elif isinstance(rest, dict):
                problems += self.check(rest, member, f"{place}.*", partial, request)
            elif properties and not rest:
                problems.append(f"{inner}: is not there")
        if not partial:
            problems += [f"{place}.{name}: is missing" for name in schema.get("required", []) if name not in value]
        return problems

    def check_array(self, schema, value, place, partial, request):
        if not isinstance(value, list):
            return [f"{place}: not a list"]
        return [problem for item in value for problem in self.check(schema.get("items"), item, f"{place}[]", partial, request)]

    def check_string(self, schema, value, place, partial, request):
        if not isinstance(value, str):
            return [f"{place}: not text"]
        pattern = FORMATS.get(schema.get("format"))
        if pattern and not pattern.match(value):
            return [f"{place}: {value!r} is no {schema['format']}"]
        if len(value) > schema.get("maxLength", len(value)):
            return [f"{place}: longer than {schema['maxLength']}"]
        return []

    def check_integer(self, schema, value, place, partial, request):
        return [] if isinstance(value, int) and not isinstance(value, bool) else [f"{place}: not an integer"]

    def check_number(self, schema, value, place, partial, request):
        return [] if isinstance(value, (int, float)) and not isinstance(value, bool) else [f"{place}: not a number"]

    def check_boolean(self, schema, value, place, partial, request):
        return [] if isinstance(value, bool) else [f"{place}: not a boolean"]


def json_schema(content):
    return (content or {}).get("content", {}).get("application/json", {}).get("schema")


def check_query(contract, operations, operation, pairs, answer):
    """Names that are not there, values of the wrong kind, and `field` names that no row has."""
    known, problems = contract.parameters(operations, operation), []
    for name, value in pairs:
        if name not in known:
            problems.append(f"query {name}: is not there")
            continue
        schema = contract.resolve(known[name].get("schema", {}))
        schema = contract.resolve(schema.get("items", {})) if schema.get("type") == "array" else schema
        if schema.get("type") in WORDS:
            try:
                value = WORDS[schema["type"]](value)
            except (KeyError, ValueError):
                pass
        problems += contract.check(schema, value, f"query {name}", False, True)
    fields = contract.resolve(known.get("field", {}).get("schema", {}))
    if "field" in known and "enum" not in contract.resolve(fields.get("items", {})):
        members = contract.members(json_schema(answer))
        problems += [f"query field: {value!r} is no member" for name, value in pairs if name == "field" and value not in members]
    return problems


def is_about_the_form(contract, schema, exchange, pairs):
    """Whether a refusal finds fault with the request as it is written, and so says itself what is wrong with it."""
    response = exchange["response"]
    if response["status"] in (405, 406, 415):
        return True
    answer = response["body"]
    if response["status"] != 400:
        return False
    if not isinstance(answer, dict):
        # A list: of members of a list, or of bare sentences.
        return isinstance(answer, list) and any(isinstance(item, dict) for item in answer)
    names = contract.members(schema) | {name for name, _ in pairs}
    body = exchange["request"]["body"]
    names |= set(body) if isinstance(body, dict) else set()
    return "parse error" in str(answer.get("detail", "")) or bool(names & set(answer))


def check_refusal(contract, answers, response):
    """As the contract says, where it says anything; else as REST framework refuses: `detail`, or members with sentences."""
    answer, body = contract.resolve(answers.get(str(response["status"]))), response["body"]
    schema = json_schema(answer)
    if schema:
        return "contract", contract.check(schema, body, "refusal", False, False)
    if body is None:
        return "empty", []
    return "framework", [] if is_refusal(body) else ["refusal: is in no form of REST framework"]


def is_refusal(body):
    if isinstance(body, dict):
        return bool(body) and all(isinstance(value, str) or is_refusal(value) or value == {} for value in body.values())
    return isinstance(body, list) and all(isinstance(item, str) or item == {} or is_refusal(item) for item in body)


def problems_of(contract, exchange):
    """`METHOD template`, what is wrong with one exchange, and what it was checked as."""
    request, response = exchange["request"], exchange["response"]
    path, _, query = re.sub(r"^\w+://[^/]+", "", request["url"]).partition("?")
    template, operations, operation = contract.operation(request["method"], path)
    if template is None:
        path = re.sub(r"[0-9a-f]{32}|[0-9a-f-]{36}", "{uuid}", path)
        return f"{request['method']} {path}", ["the path is not in the contract"], None
    name = f"{request['method']} {template}"
    if operation is None:
        return name, ["the method is not in the contract"], None
    answers = operation["responses"]
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    body, schema = request["body"], json_schema(contract.resolve(operation.get("requestBody")))
    problems, how = [], None
    refused = response["status"] >= 400
    if refused:
        how, problems = check_refusal(contract, answers, response)
    if not refused or not is_about_the_form(contract, schema, exchange, pairs):
        success = next((contract.resolve(answers[code]) for code in sorted(answers) if code.startswith("2")), None)
        problems += check_query(contract, operations, operation, pairs, success)
        if schema is not None:
            problems += contract.check(schema, body if body is not None else {}, "request", request["method"] == "PATCH", True)
        elif body not in (None, {}):
            problems.append("request: has a body")
    else:
        how = "form"
    if refused:
        return name, problems, how
    answer = contract.resolve(answers.get(str(response["status"])))
    if answer is None:
        problems.append(f"response: {response['status']} is none of {', '.join(sorted(answers))}")
    elif response["body"] is not None and json_schema(answer) is not None:
        partial = any(name == "field" for name, _ in pairs)
        problems += contract.check(json_schema(answer), response["body"], "response", partial, False)
    return name, problems, None


def read(folder):
    """The exchanges of all programs, each kind of them once, and how many there were."""
    seen, exchanges = set(), []
    for file in sorted(pathlib.Path(folder).glob("exchanges-*.jsonl")):
        for line in open(file):
            exchange = json.loads(line)
            if exchange["shape"] not in seen and exchange["response"] is not None:
                seen.add(exchange["shape"])
                exchanges.append(exchange)
    return exchanges, (pathlib.Path(folder) / "count").stat().st_size


class Verdict:
    """What deviates, against a file of exceptions: `where | what | reason`, with `*` for anything."""

    def __init__(self, exceptions):
        self.excused, self.found, self.operations = {}, {}, set()
        for line in open(exceptions):
            if line.strip() and not line.startswith("#"):
                where, what, reason = (part.strip() for part in line.split("|", 2))
                assert reason, f"no reason: {line}"
                self.excused[(where, what)] = 0
        self.patterns = {
            key: [re.compile(".*".join(map(re.escape, part.split("*")))) for part in key] for key in self.excused
        }

    def hear(self, where, problems, url):
        self.operations.add(where)
        for what in problems:
            keys = [key for key, (a, b) in self.patterns.items() if a.fullmatch(where) and b.fullmatch(what)]
            for key in keys:
                self.excused[key] += 1
            if not keys:
                times, _ = self.found.get((where, what), (0, None))
                self.found[(where, what)] = (times + 1, url)

    def told(self):
        """Prints every deviation, and every exception that excuses nothing; the counts, and whether all is well."""
        for (where, what), (times, url) in sorted(self.found.items()):
            print(f"{where} | {what} | {times} times, e.g. {url}")
        idle = sorted(key for key, times in self.excused.items() if not times)
        for where, what in idle:
            print(f"exception that excuses nothing: {where} | {what}")
        counts = f"{len(self.found)} deviations, {len(self.excused) - len(idle)} exceptions"
        return counts, not self.found and not idle


def main():
    folder, exceptions = sys.argv[1:3]
    contract = Contract(json.load(open(pathlib.Path(folder) / "contract.json")))
    exchanges, count = read(folder)
    verdict, refused = Verdict(exceptions), {}
    for exchange in exchanges:
        where, problems, how = problems_of(contract, exchange)
        if how:
            refused[how] = refused.get(how, 0) + 1
        verdict.hear(where, problems, exchange["request"]["url"])
    deviations, good = verdict.told()
    kinds = ", ".join(f"{number} {KINDS[how]}" for how, number in sorted(refused.items()))
    print(f"{count} exchanges, {len(exchanges)} of them different, on {len(verdict.operations)} operations")
    print(f"refused: {sum(refused.values())} ({kinds})")
    print(deviations)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
