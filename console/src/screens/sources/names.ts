/** Wire formats and protocols by the names that people know; ours where there is no other. */

const FORMATS: Readonly<Record<string, string>> = {
  otlp_logs: "OTLP logs",
  otlp_traces: "OTLP traces",
  otlp_metrics: "OTLP metrics",
  prometheus_write: "Prometheus remote write",
};
const PROTOCOLS: Readonly<Record<string, string>> = {
  http: "HTTP",
  otlp_http: "OTLP / HTTP",
  otlp_grpc: "OTLP / gRPC",
  fluent_forward: "Fluent forward",
  xray: "X-Ray daemon",
};

export function formatName(format: string): string {
  return FORMATS[format] ?? format;
}

export function protocolName(protocol: string): string {
  return PROTOCOLS[protocol.replaceAll("-", "_")] ?? protocol;
}
