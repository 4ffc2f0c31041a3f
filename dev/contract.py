"""Holds recorded exchanges against an OpenAPI document; see contract.sh. Needs nothing but Python."""

import json
import re
import sys

UUID = re.compile(r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$")
FORMATS = {
    "uuid": UUID,
    "date-time": re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"),
    "date": re.compile(r"^\d{4}-\d\d-\d\d$"),
    "uri": re.compile(r"^(https?://\S+)?$"),
    "decimal": re.compile(r"^-?\d+(\.\d+)?$"),
    "email": re.compile(r"^(\S+@\S+)?$"),
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

    def check(self, schema, value, place, partial, request):
        """What is wrong with a value; `partial` if members may be missing."""
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
        # Recordings have their secrets taken out.
        if pattern and not pattern.match(value) and "redacted" not in value.lower():
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


def problems_of(contract, exchange):
    """`METHOD template` and what is wrong with one exchange."""
    request, response = exchange["request"], exchange["response"]
    path, _, query = re.sub(r"^\w+://[^/]+", "", request["url"]).partition("?")
    template, operations, operation = contract.operation(request["method"], path)
    if template is None:
        return f"{request['method']} {re.sub(r'[0-9a-f]{32}', '{uuid}', path)}", ["the path is not in the contract"]
    name = f"{request['method']} {template}"
    if operation is None:
        return name, ["the method is not in the contract"]
    if response["status"] >= 400:
        return name, []
    problems = []
    names = [pair.partition("=")[0] for pair in query.split("&") if pair]
    known = contract.parameters(operations, operation)
    problems += [f"query {name}: is not there" for name in sorted(set(names)) if name not in known]
    body, schema = request["body"], json_schema(contract.resolve(operation.get("requestBody")))
    if schema is not None:
        problems += contract.check(schema, body if body is not None else {}, "request", request["method"] == "PATCH", True)
    elif body not in (None, {}):
        problems.append("request: has a body")
    answers = operation["responses"]
    answer = contract.resolve(answers.get(str(response["status"])))
    if answer is None:
        problems.append(f"response: {response['status']} is none of {', '.join(sorted(answers))}")
    elif response["body"] is not None and json_schema(answer) is not None:
        problems += contract.check(json_schema(answer), response["body"], "response", "field" in names, False)
    return name, problems


def main():
    document, exchanges, exceptions = sys.argv[1:4]
    contract = Contract(json.load(open(document)))
    excused = {}
    for line in open(exceptions):
        if line.strip() and not line.startswith("#"):
            where, what, reason = (part.strip() for part in line.split("|", 2))
            assert reason, f"no reason: {line}"
            excused[(where, what)] = 0
    count, found = 0, {}
    for line in open(exchanges):
        exchange = json.loads(line)
        if exchange["response"] is None:
            continue
        count += 1
        where, problems = problems_of(contract, exchange)
        for what in problems:
            key = next((key for key in ((where, what), (where, "*"), ("*", what)) if key in excused), None)
            if key:
                excused[key] += 1
            else:
                found.setdefault((where, what), 0)
                found[(where, what)] += 1
    for (where, what), times in sorted(found.items()):
        print(f"{where} | {what} | {times} times")
    idle = sorted(key for key, times in excused.items() if not times)
    for where, what in idle:
        print(f"exception that excuses nothing: {where} | {what}")
    print(f"{count} exchanges: {len(found)} deviations, {len(excused) - len(idle)} exceptions")
    sys.exit(1 if found or idle else 0)


if __name__ == "__main__":
    main()
