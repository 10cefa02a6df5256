"""The official `openai` package as a client of `seedbed serve`, and Prometheus' own parser as a reader of /metrics.

    ./dev acceptance light
    build/venv/bin/python tests/acceptance/openai_client.py [--seedbed PROGRAM]

The model is seeded noise, so that nothing is asked of its words: what is checked is what the package makes of the answers. Where
a grammar must hold, noise is the hardest case.

Exit code: 0 all hold, 1 something does not, 2 it could not be tried.
"""

import argparse
import asyncio
import codecs
import json
import pathlib
import sys
import tempfile

from serving import PROGRAM, CannotTry, make_model, run_checks, serving

try:
    import openai
    from prometheus_client.parser import text_string_to_metric_families
    from pydantic import BaseModel
except ImportError as error:
    print(f"openai_client: {error}; run it through ./dev acceptance, or: {sys.executable} -m pip install openai prometheus-client", file=sys.stderr)
    sys.exit(2)

KEY = "a-key-of-the-test"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Rome", "Oslo", "東京"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}, "metric": {"type": "boolean"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
CLOCK = {
    "type": "function",
    "function": {
        "name": "clock",
        "parameters": {"type": "object", "properties": {"zone": {"enum": ["UTC", "CET"]}}, "required": ["zone"], "additionalProperties": False},
    },
}
TOOLS = [WEATHER, CLOCK]
HELLO = [{"role": "system", "content": "You are terse."}, {"role": "user", "content": "Hello! How are things?"}]


class Setting:
    def __init__(self, served):
        self.served = served
        served.key = KEY
        self.client = openai.OpenAI(base_url=served.root + "/v1", api_key=KEY, max_retries=0, timeout=120)

    def chat(self, messages=None, **more):
        return self.client.chat.completions.create(**{"model": self.served.name, "messages": messages or HELLO, "max_tokens": 24, "seed": 7, **more})


def expect(holds, why):
    if not holds:
        raise AssertionError(why)


def refused(kind, call):
    """The error that a call must raise."""
    try:
        call()
    except openai.APIStatusError as error:
        expect(isinstance(error, kind), f"wanted {kind.__name__}, got {type(error).__name__}: {error}")
        expect(isinstance(error.body, dict) and error.body.get("message"), f"no message in {error.body}")
        return error
    raise AssertionError(f"wanted {kind.__name__}, and it was taken")


def check_arguments(call):
    arguments = json.loads(call.function.arguments)
    if call.function.name == "clock":
        expect(arguments.get("zone") in ("UTC", "CET") and len(arguments) == 1, f"clock{arguments}")
        return
    expect(call.function.name == "weather", call.function.name)
    expect(arguments["city"] in ("Rome", "Oslo", "東京"), arguments)
    expect(type(arguments["days"]) is int and 1 <= arguments["days"] <= 9, arguments)
    expect(set(arguments) <= {"city", "days", "metric"} and isinstance(arguments.get("metric", True), bool), arguments)


def gather(stream):
    """What a stream's deltas add up to, by choice."""
    choices, usage, heads = {}, None, set()
    for chunk in stream:
        expect(chunk.object == "chat.completion.chunk", chunk.object)
        heads.add((chunk.id, chunk.created, chunk.model))
        if chunk.usage is not None:
            expect(usage is None and not chunk.choices, "usage stands in one chunk of its own")
            usage = chunk.usage
        for choice in chunk.choices:
            into = choices.setdefault(choice.index, {"content": "", "calls": {}, "role": None, "finish": None, "reasoning": "", "logprobs": []})
            expect(into["finish"] is None, "a choice goes on after its end")
            into["role"] = into["role"] or choice.delta.role
            into["content"] += choice.delta.content or ""
            into["reasoning"] += getattr(choice.delta, "reasoning_content", None) or ""
            if choice.logprobs and choice.logprobs.content:
                into["logprobs"] += choice.logprobs.content
            for part in choice.delta.tool_calls or []:
                call = into["calls"].setdefault(part.index, {"id": part.id, "name": part.function.name, "arguments": ""})
                call["arguments"] += part.function.arguments or ""
            into["finish"] = choice.finish_reason
    expect(len(heads) == 1, f"id, created and model change within a stream: {heads}")
    for choice in choices.values():
        expect(choice["role"] == "assistant" and choice["finish"] is not None, f"no role or no end: {choice}")
    return choices, usage


def check_models(s):
    models = s.client.models.list().data
    expect([m.id for m in models] == [s.served.name], models)
    expect(s.client.models.retrieve(s.served.name).id == s.served.name, "retrieve")
    refused(openai.NotFoundError, lambda: s.client.models.retrieve("nobody"))


def check_plain(s):
    answer = s.chat()
    choice, usage = answer.choices[0], answer.usage
    expect(answer.object == "chat.completion" and answer.model == s.served.name and answer.id, answer)
    expect(choice.message.role == "assistant" and choice.finish_reason in ("stop", "length"), choice)
    expect(choice.message.content and not choice.message.tool_calls, choice.message)
    expect(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens and usage.completion_tokens <= 24, usage)
    expect(usage.prompt_tokens_details.cached_tokens >= 0, usage)
    expect(usage.prompt_cache_hit_tokens + usage.prompt_cache_miss_tokens == usage.prompt_tokens, usage)
    short = s.client.chat.completions.create(model=s.served.name, messages=HELLO, max_completion_tokens=3, seed=1)
    expect(short.usage.completion_tokens <= 3, short.usage)


def check_streaming(s):
    whole = s.chat(n=2)
    choices, usage = gather(s.chat(n=2, stream=True, stream_options={"include_usage": True}))
    for choice in whole.choices:
        expect(choices[choice.index]["content"] == choice.message.content, f"a stream says {choices[choice.index]['content']!r}, not {choice.message.content!r}")
        expect(choices[choice.index]["finish"] == choice.finish_reason, "another end")
    expect(usage.completion_tokens == whole.usage.completion_tokens and usage.prompt_tokens == whole.usage.prompt_tokens, usage)
    _, usage = gather(s.chat(stream=True))
    expect(usage is None, "usage, though not asked for")
    text = whole.choices[0].message.content
    stop = text[len(text) // 2 :][:3]  # an answer that is cut at its length is an error to what follows
    with s.client.chat.completions.stream(model=s.served.name, messages=HELLO, max_tokens=24, seed=7, stop=stop) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    expect(any(e.type == "content.done" for e in events), "no content.done")
    expect(final.choices[0].message.content == text[: text.index(stop)], "the package's own gathering differs")


def check_seed(s):
    texts = [s.chat(seed=seed, temperature=1).choices[0].message.content for seed in (1, 1, 2, 3)]
    expect(texts[0] == texts[1], "one seed gives two texts")
    expect(len(set(texts)) == 3, "two seeds give one text")
    free = {s.client.chat.completions.create(model=s.served.name, messages=HELLO, max_tokens=24).choices[0].message.content for _ in range(2)}
    expect(len(free) == 2, "without a seed, twice the same text")


def check_choices(s):
    answer = s.chat(n=4, temperature=1)
    expect([c.index for c in answer.choices] == [0, 1, 2, 3], [c.index for c in answer.choices])
    expect(len({c.message.content for c in answer.choices}) == 4, "choices repeat each other")
    again = s.chat(n=4, temperature=1)
    expect([c.message.content for c in again.choices] == [c.message.content for c in answer.choices], "one seed, other choices")


def check_stop(s):
    text = s.chat(max_tokens=40, temperature=0).choices[0].message.content
    middle = len(text) // 2
    stop = text[middle : middle + 3]
    answer = s.chat(max_tokens=40, temperature=0, stop=stop)
    expect(answer.choices[0].message.content == text[: text.index(stop)], f"{answer.choices[0].message.content!r} of {text!r}, stop {stop!r}")
    expect(answer.choices[0].finish_reason == "stop", answer.choices[0].finish_reason)
    choices, _ = gather(s.chat(max_tokens=40, temperature=0, stop=["no such text", stop], stream=True))
    expect(choices[0]["content"] == text[: text.index(stop)] and choices[0]["finish"] == "stop", choices)


codecs.register_error("one_a_byte", lambda error: ("\ufffd" * (error.end - error.start), error.end))


def check_logprobs(s):
    answer = s.chat(logprobs=True, top_logprobs=3, temperature=0)
    content = answer.choices[0].logprobs.content
    expect(len(content) <= answer.usage.completion_tokens and content, content)
    said = b"".join(bytes(entry.bytes) for entry in content)
    # Noise is no UTF-8: each byte that belongs to no character is said as one U+FFFD.
    expect(answer.choices[0].message.content == said.decode("utf-8", "one_a_byte"), (said, answer.choices[0].message))
    for entry in content:
        tops = [top.logprob for top in entry.top_logprobs]
        expect(len(tops) == 3 and tops == sorted(tops, reverse=True) and max(tops) <= 0, tops)
        expect(abs(entry.logprob - tops[0]) < 1e-6, f"at temperature 0 the likeliest is taken: {entry.logprob} of {tops}")
    choices, _ = gather(s.chat(logprobs=True, top_logprobs=3, temperature=0, stream=True))
    expect([e.logprob for e in choices[0]["logprobs"]] == [e.logprob for e in content], "a stream has other log probabilities")
    expect(s.chat().choices[0].logprobs is None, "log probabilities, though not asked for")


def towards_calls(s):
    """A bias by which noise soon begins to call, and rather makes another call than an end."""
    (line,), (less,), marker = (tokens_of(s, text) for text in ("\n", "<", "<｜DSML｜"))
    expect(marker[0] == less and len(marker) == 2, f"the marker is no token of its own: {marker}")
    return {str(line): 50, str(less): 50, str(marker[1]): 100}


def check_tools_required(s):
    counts = []
    for seed in range(4):
        # Without the bias noise talks until so few tokens are left that the calls must come.
        more = {"logit_bias": towards_calls(s)} if seed else {}
        answer = s.chat(tools=TOOLS, tool_choice="required", seed=seed, max_tokens=400, **more).choices[0]
        calls = answer.message.tool_calls
        expect(calls and answer.finish_reason == "tool_calls", f"{answer.finish_reason}, {answer.message}")
        expect(len({call.id for call in calls}) == len(calls) and all(call.type == "function" for call in calls), calls)
        for call in calls:
            check_arguments(call)
        counts.append(len(calls))
        choices, _ = gather(s.chat(tools=TOOLS, tool_choice="required", seed=seed, max_tokens=400, stream=True, **more))
        streamed = [choices[0]["calls"][i] for i in range(len(choices[0]["calls"]))]
        expect([(c["name"], c["arguments"]) for c in streamed] == [(c.function.name, c.function.arguments) for c in calls], f"a stream makes other calls: {streamed}")
        expect([c["id"] for c in streamed] and all(c["id"] for c in streamed) and choices[0]["finish"] == "tool_calls", streamed)
        expect(choices[0]["content"] == (answer.message.content or ""), "a stream says something else before its calls")
    return f"calls an answer: {counts}"


def check_tools_named(s):
    for seed in range(4):
        choice = {"type": "function", "function": {"name": "clock"}}
        answer = s.chat(tools=TOOLS, tool_choice=choice, seed=seed, max_tokens=300, logit_bias=towards_calls(s)).choices[0]
        expect(answer.message.tool_calls and {c.function.name for c in answer.message.tool_calls} == {"clock"}, answer.message)
        for call in answer.message.tool_calls:
            check_arguments(call)


def check_parallel_calls(s):
    counts, names = [], set()
    # Four answers, and more of them where noise has called one tool alone so far.
    for seed in range(16):
        if seed >= 4 and len(names) == 2:
            break
        more = {"tools": TOOLS, "tool_choice": "required", "seed": seed, "max_tokens": 400, "logit_bias": towards_calls(s), "temperature": 1.5}
        many = s.chat(**more).choices[0].message.tool_calls
        expect(len(many) >= 2 and len({call.id for call in many}) == len(many), f"{len(many)} calls, though more than one was as good as asked for")
        for call in many:
            check_arguments(call)
            names.add(call.function.name)
        counts.append(len(many))
        one = s.chat(**more, parallel_tool_calls=False).choices[0].message.tool_calls
        expect(len(one) == 1, f"{len(one)} calls, though one alone was allowed")
    expect(names == {"clock", "weather"}, f"only {names} was called")
    return f"calls an answer: {counts}"


def check_tools_auto_and_none(s):
    none = s.chat(tools=TOOLS, tool_choice="none").choices[0].message
    expect(not none.tool_calls, none)
    auto = s.chat(tools=TOOLS).choices[0].message
    for call in auto.tool_calls or []:
        check_arguments(call)


def check_a_tool_loop(s):
    messages = list(HELLO)
    for _ in range(3):
        said = s.chat(messages, tools=TOOLS, tool_choice="required", max_tokens=300, logit_bias=towards_calls(s)).choices[0].message
        messages.append(said.model_dump(exclude_none=True))
        messages += [{"role": "tool", "tool_call_id": call.id, "content": '{"ok": true}'} for call in said.tool_calls]
    answer = s.chat(messages, tools=TOOLS, tool_choice="none")
    expect(answer.usage.prompt_tokens_details.cached_tokens > answer.usage.prompt_tokens // 2, f"little of the loop came from the cache: {answer.usage}")
    return f"{answer.usage.prompt_tokens_details.cached_tokens} of {answer.usage.prompt_tokens} prompt tokens from the cache"


class Verdict(BaseModel):
    kind: bool
    level: int
    words: list[bool]


def check_response_format(s):
    schema = {
        "type": "object",
        "properties": {"color": {"enum": ["red", "green"]}, "size": {"type": "integer", "minimum": 0, "maximum": 99}, "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3}},
        "required": ["color", "size", "tags"],
        "additionalProperties": False,
    }
    for seed in range(4):
        answer = s.chat(response_format={"type": "json_schema", "json_schema": {"name": "thing", "strict": True, "schema": schema}}, seed=seed, max_tokens=600).choices[0]
        value = json.loads(answer.message.content)
        expect(answer.finish_reason == "stop" and set(value) == {"color", "size", "tags"}, f"{answer.finish_reason}: {value}")
        expect(value["color"] in ("red", "green") and type(value["size"]) is int and 0 <= value["size"] <= 99 and len(value["tags"]) <= 3, value)
    parsed = 0
    for seed in range(6):  # an array without a bound may be longer than an answer may be
        try:
            answer = s.client.chat.completions.parse(model=s.served.name, messages=HELLO, response_format=Verdict, seed=seed, max_tokens=1000)
        except openai.LengthFinishReasonError:
            continue
        expect(isinstance(answer.choices[0].message.parsed, Verdict), answer.choices[0].message)
        parsed += 1
    expect(parsed >= 1, "no answer of six fitted the package's own schema within 1,000 tokens")
    closing = {str(t): 100 for t in tokens_of(s, "}")}
    answer = s.chat(response_format={"type": "json_object"}, logit_bias=closing, max_tokens=200).choices[0]
    expect(answer.finish_reason == "stop" and isinstance(json.loads(answer.message.content), dict), answer)


def tokens_of(s, text):
    return s.served.post("/tokenize", {"prompt": text, "add_special_tokens": False})["tokens"]


def check_thinking(s):
    answer = s.chat(extra_body={"thinking": {"type": "enabled"}}, max_tokens=40)
    message = answer.choices[0].message
    expect(getattr(message, "reasoning_content", None), message)
    expect(answer.usage.completion_tokens_details.reasoning_tokens > 0, answer.usage)
    choices, _ = gather(s.chat(extra_body={"thinking": {"type": "enabled"}}, max_tokens=40, stream=True))
    expect(choices[0]["reasoning"] == message.reasoning_content and choices[0]["content"] == (message.content or ""), choices)


def check_completions(s):
    answer = s.client.completions.create(model=s.served.name, prompt="Once upon a time", max_tokens=12, seed=3, n=2)
    expect([c.index for c in answer.choices] == [0, 1] and all(c.text for c in answer.choices), answer.choices)
    texts = ["", ""]
    for chunk in s.client.completions.create(model=s.served.name, prompt="Once upon a time", max_tokens=12, seed=3, n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    expect(texts == [c.text for c in answer.choices], f"{texts} streamed, {answer.choices} whole")


def check_cache(s):
    messages = [{"role": "user", "content": "word " * 400}]
    first, second = s.chat(messages, max_tokens=2).usage, s.chat(messages, max_tokens=2).usage
    expect(first.prompt_tokens == second.prompt_tokens and second.prompt_cache_hit_tokens > second.prompt_tokens * 0.8, second)
    return f"{second.prompt_cache_hit_tokens} of {second.prompt_tokens} tokens hit"


def check_cancellation(s):
    gone = s.served.metric("seedbed_clients_gone_total")
    stream = s.chat(stream=True, max_tokens=20_000, extra_body={"ignore_eos": True})
    for _ in range(5):
        next(iter(stream))
    expect(s.served.metric("vllm:num_requests_running") >= 1, "nothing runs while a stream does")
    stream.close()
    expect(s.served.wait_for(lambda: s.served.metric("vllm:num_requests_running") == 0, 10), "it goes on ten seconds after its client left")
    expect(s.served.wait_for(lambda: s.served.metric("seedbed_clients_gone_total") == gone + 1, 5), "nobody counted as gone")
    made = s.served.metric("vllm:generation_tokens_total")
    expect(s.served.metric("seedbed_requests_in_flight") == 0, "an exchange is left")
    expect(s.served.metric("vllm:generation_tokens_total") == made, "tokens are still made")


def check_wrong_requests(s):
    bad = openai.BadRequestError
    for more in (
        {"messages": []},
        {"messages": [{"role": "nobody", "content": "x"}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"role": "tool", "tool_call_id": "x", "content": "x"}]},
        {"n": 0},
        {"n": 100_000},
        {"temperature": -1},
        {"top_p": 2},
        {"max_tokens": 0},
        {"logit_bias": {"x": 1}},
        {"top_logprobs": 3},
        {"tool_choice": "required"},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "nobody"}}},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "nothing"}}}], "tool_choice": "required"},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "xml"}},
        {"messages": [{"role": "user", "content": "word " * 200_000}]},
    ):
        error = refused(bad, lambda more=more: s.client.chat.completions.create(**{"model": s.served.name, "messages": HELLO, "max_tokens": 4, **more}))
        expect(error.status_code == 400 and error.type == "invalid_request_error", f"{more}: {error.body}")
    refused(openai.NotFoundError, lambda: s.client.chat.completions.create(model="nobody", messages=HELLO))
    refused(bad, lambda: s.chat(stream=True, temperature=-1))


def check_keys(s):
    for key in ("wrong", KEY + "x", KEY[:-1], KEY.upper()):
        with openai.OpenAI(base_url=s.served.root + "/v1", api_key=key, max_retries=0) as client:
            refused(openai.AuthenticationError, lambda client=client: client.chat.completions.create(model=s.served.name, messages=HELLO))


def check_many_at_once(s):
    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=s.served.root + "/v1", api_key=KEY, max_retries=0, timeout=120) as client:
            return await asyncio.gather(*(client.chat.completions.create(model=s.served.name, messages=HELLO, max_tokens=24, seed=i % 4) for i in range(32)))

    answers = asyncio.run(all_of_them())
    texts = {i: {a.choices[0].message.content for a in answers[i::4]} for i in range(4)}
    expect(all(len(t) == 1 for t in texts.values()), "one seed gives other texts in company")
    alone = s.client.chat.completions.create(model=s.served.name, messages=HELLO, max_tokens=24, seed=0).choices[0].message.content
    expect(texts[0] == {alone}, "company changes a text")


def check_metrics(s):
    families = {f.name: f for f in text_string_to_metric_families(s.served.get("/metrics"))}
    wanted = {
        "gauge": ["vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"],
        "counter": ["vllm:prompt_tokens", "vllm:generation_tokens", "vllm:prefix_cache_queries", "vllm:prefix_cache_hits", "vllm:request_success"],
        "histogram": [
            "vllm:time_to_first_token_seconds",
            "vllm:inter_token_latency_seconds",
            "vllm:e2e_request_latency_seconds",
            "vllm:request_queue_time_seconds",
            "vllm:request_prefill_time_seconds",
            "vllm:request_decode_time_seconds",
            "vllm:request_prompt_tokens",
            "vllm:request_generation_tokens",
            "vllm:iteration_tokens_total",
        ],
    }
    for kind, names in wanted.items():
        for name in names:
            expect(name in families, f"{name} is not there")
            family = families[name]
            expect(family.type == kind and family.documentation and family.samples, f"{name}: {family}")
            expect(all(sample.labels["model_name"] == s.served.name for sample in family.samples), f"{name}: labels")
            if kind != "histogram":
                continue
            buckets = [x.value for x in family.samples if x.name.endswith("_bucket")]
            count = next(x.value for x in family.samples if x.name.endswith("_count"))
            total = next(x.value for x in family.samples if x.name.endswith("_sum"))
            expect(buckets == sorted(buckets) and buckets[-1] == count and total >= 0, f"{name}: {buckets}, {count}")
    value = lambda name: sum(x.value for x in families[name].samples)  # noqa: E731
    expect(0 <= value("vllm:kv_cache_usage_perc") <= 1, "usage outside 0..1")
    expect(value("vllm:prefix_cache_hits") <= value("vllm:prefix_cache_queries"), "more hits than queries")
    sums = {x.name: x.value for name in ("vllm:request_generation_tokens", "vllm:request_prompt_tokens") for x in families[name].samples if x.name.endswith("_sum")}
    expect(value("vllm:generation_tokens") >= sums["vllm:request_generation_tokens_sum"] > 0, f"{sums} of {value('vllm:generation_tokens')}")
    expect({x.labels["finished_reason"] for x in families["vllm:request_success"].samples} >= {"stop", "length", "abort"}, "reasons")
    return f"{len(families)} metrics"


def check_the_end(s):
    with s.chat(stream=True, max_tokens=200, extra_body={"ignore_eos": True}) as stream:
        chunks = iter(stream)
        next(chunks)
        s.served.end()
        rest = [c for chunk in chunks for c in chunk.choices]
    expect(rest and rest[-1].finish_reason == "length", "SIGTERM cut a stream")
    s.client.close()
    code = s.served.exit_code()
    expect(code == 0, f"exit code {code}: {''.join(s.served.log)[-500:]}")


CHECKS = [
    check_models,
    check_plain,
    check_streaming,
    check_seed,
    check_choices,
    check_stop,
    check_logprobs,
    check_tools_required,
    check_tools_named,
    check_parallel_calls,
    check_tools_auto_and_none,
    check_a_tool_loop,
    check_response_format,
    check_thinking,
    check_completions,
    check_cache,
    check_cancellation,
    check_wrong_requests,
    check_keys,
    check_many_at_once,
    check_metrics,
    check_the_end,
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seedbed", default=PROGRAM)
    parser.add_argument("--only", help="checks whose name contains this")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as temp:
        try:
            model = make_model(words.seedbed, pathlib.Path(temp))
        except CannotTry as error:
            print(f"openai_client: {error}", file=sys.stderr)
            sys.exit(2)
        flags = ["--cache-tokens", 131072, "--api-key-env", "SEEDBED_TEST_KEY", "--max-batch", 32]
        with serving(words.seedbed, model, *flags, environment={"SEEDBED_TEST_KEY": KEY}) as served:
            checks = [c for c in CHECKS if not words.only or words.only in c.__name__]
            print(f"openai_client: openai {openai.__version__}, {served.name} on port {served.port}", flush=True)
            sys.exit(run_checks("openai_client", checks, Setting(served)))


if __name__ == "__main__":
    main()
