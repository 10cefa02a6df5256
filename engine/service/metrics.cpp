#include "engine/service/metrics.h"

#include <cmath>

namespace seedbed::engine::service {
namespace {

std::string number(double x) {
  if (std::isnan(x)) return "NaN";
  if (std::isinf(x)) return x < 0 ? "-Inf" : "+Inf";
  if (std::floor(x) == x && std::abs(x) < 9e15) return std::to_string(static_cast<std::int64_t>(x));
  return dump(schemas::Value(x));
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

class Writer {
 public:
  explicit Writer(const std::string& model) : model_("model_name=\"" + escaped(model) + "\"") {}

  void head(const std::string& name, const std::string& help, const char* type) {
    out_ += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
  }
  void sample(const std::string& name, double value, const std::string& labels = "") {
    out_ +=
        name + "{" + model_ + (labels.empty() ? "" : "," + labels) + "} " + number(value) + "\n";
  }
  void gauge(const std::string& name, const std::string& help, double value) {
    head(name, help, "gauge");
    sample(name, value);
  }
  void counter(const std::string& name, const std::string& help, double value) {
    head(name, help, "counter");
    sample(name, value);
  }
  void histogram(const std::string& name, const std::string& help, const Histogram& h) {
    head(name, help, "histogram");
    std::int64_t below = 0;
    for (std::size_t i = 0; i < h.cells().size(); ++i) {
      below += h.cells()[i];
      const std::string bound = i < h.bounds().size() ? number(h.bounds()[i]) : "+Inf";
      sample(name + "_bucket", static_cast<double>(below), "le=\"" + bound + "\"");
    }
    sample(name + "_sum", h.sum());
    sample(name + "_count", static_cast<double>(h.count()));
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  std::string model_, out_;
};

double as_double(std::int64_t n) {
  return static_cast<double>(n);
}

void write_vllm(const Service& service, const EngineStats& s, Writer& out) {
  out.gauge("vllm:num_requests_running", "Requests being computed.", as_double(s.running));
  out.gauge("vllm:num_requests_waiting", "Requests waiting to be computed.", as_double(s.waiting));
  const std::int64_t used = s.pages - s.pages_free - s.pages_cached;
  out.gauge("vllm:kv_cache_usage_perc", "Share of the pages in use, 0 to 1.",
            s.pages > 0 ? as_double(used) / as_double(s.pages) : 0);
  out.counter("vllm:prompt_tokens_total", "Tokens of prompts.", as_double(s.prompt_tokens));
  out.counter("vllm:generation_tokens_total", "Tokens sampled.", as_double(s.generated_tokens));
  out.counter("vllm:prefix_cache_queries_total", "Tokens of prompts looked up in the prefix cache.",
              as_double(s.prompt_tokens));
  out.counter("vllm:prefix_cache_hits_total", "Tokens of prompts found in the prefix cache.",
              as_double(s.hit_tokens));
  out.counter("vllm:num_preemptions_total", "Requests put back for want of pages.",
              as_double(s.preemptions));
  out.head("vllm:request_success_total", "Choices that ended, by how.", "counter");
  for (const Ended ended :
       {Ended::stop, Ended::length, Ended::tool_calls, Ended::abort, Ended::error})
    out.sample("vllm:request_success_total",
               as_double(service.ended[static_cast<std::size_t>(ended)]),
               "finished_reason=\"" + std::string(ended_name(ended)) + "\"");
  out.histogram("vllm:time_to_first_token_seconds", "From arrival to the first token.",
                s.time_to_first_token);
  out.histogram("vllm:inter_token_latency_seconds", "Between two tokens of a request.",
                s.inter_token);
  out.histogram("vllm:e2e_request_latency_seconds", "From arrival to the end.", s.end_to_end);
  out.histogram("vllm:request_queue_time_seconds", "From arrival to admission.", s.queue);
  out.histogram("vllm:request_prefill_time_seconds", "From admission to the first token.",
                s.prefill);
  out.histogram("vllm:request_decode_time_seconds", "From the first token to the last.", s.decode);
  out.histogram("vllm:request_prompt_tokens", "Tokens of a request's prompt.", s.prompt_length);
  out.histogram("vllm:request_generation_tokens", "Tokens sampled for a request.",
                s.generation_length);
  out.histogram("vllm:iteration_tokens_total", "Tokens of a forward pass.", s.step_tokens);
}

void write_own(const Service& service, const EngineStats& s, Writer& out) {
  out.gauge("seedbed_pages", "Pages of the cache.", as_double(s.pages));
  out.gauge("seedbed_pages_free", "Pages that hold nothing.", as_double(s.pages_free));
  out.gauge("seedbed_pages_cached", "Pages held for later prompts alone.",
            as_double(s.pages_cached));
  out.gauge("seedbed_pages_pinned", "Cached pages held for a session.", as_double(s.pages_pinned));
  out.gauge("seedbed_host_pages", "Pages that the host tier has room for.",
            as_double(s.host_pages));
  out.gauge("seedbed_host_pages_used", "Pages that lie in the host tier.",
            as_double(s.host_pages_used));
  out.gauge("seedbed_sessions", "Sessions with pages.", as_double(s.sessions));
  out.gauge("seedbed_paused", "1 while no step is made.", s.paused ? 1 : 0);
  out.gauge("seedbed_policy", "Number of the weights in use.", as_double(s.policy));
  out.gauge("seedbed_requests_in_flight", "Exchanges that are not answered yet.",
            as_double(service.in_flight() - 1));  // this one left out
  out.gauge("seedbed_sampled_text_bytes", "Memory of what was sampled, by its text.",
            static_cast<double>(service.sampled.bytes()));
  out.counter("seedbed_sampled_text_hits_total",
              "Messages that became the ids they were sampled as.",
              as_double(service.sampled.found()));
  out.counter("seedbed_requests_refused_total", "Exchanges answered with an error before a token.",
              as_double(service.refused));
  out.counter("seedbed_clients_gone_total", "Exchanges whose client left before the end.",
              as_double(service.gone));
  out.counter("seedbed_prefill_tokens_total", "Tokens computed as prompt.",
              as_double(s.prefill_tokens));
  out.counter("seedbed_recomputed_tokens_total",
              "Tokens computed again after a preemption or new weights.",
              as_double(s.recomputed_tokens));
  out.counter("seedbed_forks_total", "Requests that took another's prompt whole.",
              as_double(s.forks));
  out.counter("seedbed_pages_copied_total", "Pages copied before a write.",
              as_double(s.copied_pages));
  out.counter("seedbed_pages_spilled_total", "Cached pages that went to the host tier.",
              as_double(s.spilled_pages));
  out.counter("seedbed_pages_restored_total", "Pages that came back from the host tier.",
              as_double(s.restored_pages));
  out.counter("seedbed_pages_evicted_total", "Cached pages given up for good.",
              as_double(s.evicted_pages));
  out.counter("seedbed_preemptions_total", "Requests put back for want of pages.",
              as_double(s.preemptions));
  out.counter("seedbed_reloads_total", "Times that other weights were taken.",
              as_double(s.reloads));
  out.counter("seedbed_draft_tokens_total", "Tokens drafted.", as_double(s.drafted));
  out.counter("seedbed_draft_tokens_accepted_total", "Drafts that were right.",
              as_double(s.accepted));
  out.counter("seedbed_steps_total", "Forward passes.", as_double(s.steps));
  out.histogram("seedbed_mask_seconds", "Making the mask of one token.", s.mask_seconds);
}

}  // namespace

std::string metrics_text(const Service& service) {
  const EngineStats stats = service.engine.stats();
  Writer out(service.options.model_name);
  write_vllm(service, stats, out);
  write_own(service, stats, out);
  if (service.options.more_metrics)
    for (const Metric& metric : service.options.more_metrics())
      metric.counter ? out.counter(metric.name, metric.help, metric.value)
                     : out.gauge(metric.name, metric.help, metric.value);
  return out.take();
}

Refusal serve_metrics(Service& service,
                      const std::shared_ptr<Exchange>& exchange,
                      const std::shared_ptr<Flight>&) {
  HttpReply reply;
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  reply.body = metrics_text(service);
  exchange->reply(std::move(reply));
  return std::nullopt;
}

}  // namespace seedbed::engine::service
