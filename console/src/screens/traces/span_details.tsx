/** Everything that is known about one span. */

import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Span, SpanLink } from "~/api/traces";
import { duration } from "~/format/durations";
import { percent } from "~/format/numbers";
import { fullTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { Icon } from "~/parts/icon";
import { useZone } from "~/state/preferences";
import { AttributeList, type OnFilter } from "./attribute_list";
import { lengthNs, ownPieces, type Piece } from "./critical_path";
import classes from "./details.module.css";
import { typesOf } from "./readable";
import { SpanEvents } from "./span_events";
import type { TraceNode, TraceTree } from "./trace_tree";

interface Props {
  readonly tree: TraceTree;
  readonly place: number;
  readonly critical: readonly Piece[] | undefined;
  readonly onFilter: OnFilter;
  readonly onSelect: (key: string) => void;
}

export function SpanDetails({ tree, place, critical, onFilter, onSelect }: Props) {
  const t = useT();
  const node = tree.nodes[place];
  if (node === undefined) return null;
  const { span } = node;
  if (span === null) return <MissingParent node={node} />;
  const dropped = (count: number) => (count === 0 ? null : <Dropped count={count} />);
  return (
    <>
      <Facts tree={tree} place={place} node={node} span={span} critical={critical} onSelect={onSelect} />
      <Section title={t("traces.attributes")} count={Object.keys(span.attributes).length} isOpen>
        {dropped(span.dropped_attributes_count)}
        <AttributeList
          values={span.attributes} types={typesOf(span.attributes, span.attribute_types)}
          prefix="attributes." onFilter={onFilter}
        />
      </Section>
      <Section title={t("traces.events")} count={span.events.length + span.dropped_events_count} isOpen>
        {dropped(span.dropped_events_count)}
        <SpanEvents events={span.events} traceStartNs={tree.startNs} />
      </Section>
      <Section title={t("traces.links")} count={span.links.length + span.dropped_links_count} isOpen>
        {dropped(span.dropped_links_count)}
        {span.links.map((link) => <LinkNote key={`${link.trace_id} ${link.span_id}`} link={link} />)}
      </Section>
      <Section title={t("traces.resource")} count={Object.keys(span.resource).length}>
        <AttributeList values={span.resource} prefix="resource." onFilter={onFilter} />
      </Section>
      <Section title={t("traces.identity")} count={1}>
        <AttributeList values={identityOf(span)} onFilter={onFilter} />
      </Section>
    </>
  );
}

interface FactsProps {
  readonly tree: TraceTree;
  readonly place: number;
  readonly node: TraceNode;
  readonly span: Span;
  readonly critical: readonly Piece[] | undefined;
  readonly onSelect: (key: string) => void;
}

function Facts({ tree, place, node, span, critical, onSelect }: FactsProps) {
  const t = useT();
  const zone = useZone();
  const parent = tree.nodes[node.parent];
  const whole = Math.max(1, tree.durationNs);
  return (
    <>
      {span.status === "ERROR" && (
        <div className={classes.failed}>
          <Icon name="error" />
          <span>{span.status_message === "" ? t("traces.failed") : span.status_message}</span>
          {span.status_message !== "" && <CopyButton text={span.status_message} />}
        </div>
      )}
      {node.earlyNs > 0 && <EarlyNote node={node} parent={parent} />}
      {node.isOfCircle && <Note>{t("traces.circle")}</Note>}
      {span.status !== "ERROR" && span.status_message !== "" && <Note>{span.status_message}</Note>}
      <dl className={classes.facts}>
        <Fact name={t("traces.service")}>{span.service === "" ? "–" : span.service}</Fact>
        <Fact name={t("traces.kind")}>{span.kind.toLowerCase()}</Fact>
        <Fact name={t("traces.status")}>{t.maybe(`traces.status.${span.status}`) ?? span.status}</Fact>
        <Fact name={t("traces.duration")}>
          {`${duration(span.duration_ns)} (${t("traces.ofTrace", { share: percent(span.duration_ns / whole) })})`}
        </Fact>
        {node.below > 0 && <Fact name={t("traces.ownTime")}>{duration(lengthNs(ownPieces(tree, place)))}</Fact>}
        {critical !== undefined && <Fact name={t("traces.onPath")}>{duration(lengthNs(critical))}</Fact>}
        <Fact name={t("traces.start")}>{`${fullTime(span.timestamp, zone)}  +${duration(node.startNs)}`}</Fact>
        <Fact name={t("traces.spanId")}><span className="mono">{span.span_id}</span><CopyButton text={span.span_id} /></Fact>
        <Fact name={t("traces.parent")}>
          {parent === undefined ? (
            t("traces.noParent")
          ) : (
            <button type="button" className={classes.linkButton} onClick={() => onSelect(parent.key)}>
              {parent.span === null ? t("traces.missingSpan") : parent.span.name}
            </button>
          )}
        </Fact>
      </dl>
    </>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function EarlyNote({ node, parent }: { readonly node: TraceNode; readonly parent: TraceNode | undefined }) {
  const t = useT();
  const [mine, other] = [node.span?.node ?? "", parent?.span?.node ?? ""];
  const where =
    mine === other || mine === "" || other === ""
      ? t("traces.earlyHere")
      : t("traces.earlyClocks", { node: mine, parent: other });
  return <Note>{`${t("traces.early", { length: duration(node.earlyNs) })} ${where}`}</Note>;
}

function Note({ children }: { readonly children: ReactNode }) {
  return (
    <div className={classes.note}>
      <Icon name="warning" sizePx={14} />
      <span>{children}</span>
    </div>
  );
}

function Dropped({ count }: { readonly count: number }) {
  const t = useT();
  return <Note>{t("traces.dropped", { n: count })}</Note>;
}

function MissingParent({ node }: { readonly node: TraceNode }) {
  const t = useT();
  return (
    <>
      <Note>{t("traces.missingWhat", { n: node.below })}</Note>
      <dl className={classes.facts}>
        <Fact name={t("traces.spanId")}><span className="mono">{node.spanId}</span><CopyButton text={node.spanId} /></Fact>
      </dl>
    </>
  );
}

interface SectionProps {
  readonly title: string;
  readonly count: number;
  readonly isOpen?: boolean;
  readonly children: ReactNode;
}

/** Left out when there is nothing in it. */
function Section({ title, count, isOpen = false, children }: SectionProps) {
  if (count === 0) return null;
  return (
    <details className={classes.section} open={isOpen}>
      <summary>
        <Icon name="right" sizePx={12} />
        {title}
        <span className="muted">{count === 1 && !isOpen ? "" : count}</span>
      </summary>
      {children}
    </details>
  );
}

function LinkNote({ link }: { readonly link: SpanLink }) {
  const t = useT();
  const attributes = link.trace_state === "" ? link.attributes : { ...link.attributes, trace_state: link.trace_state };
  return (
    <div className={classes.link}>
      <Icon name="link" sizePx={13} />
      <div>
        <Link to="/traces/$traceId" params={{ traceId: link.trace_id }} search={{ span: link.span_id }} className="mono">
          {`${link.trace_id.slice(0, 16)}… / ${link.span_id}`}
        </Link>
        <AttributeList values={attributes} />
        {link.dropped_attributes_count > 0 && <Note>{t("traces.dropped", { n: link.dropped_attributes_count })}</Note>}
      </div>
    </div>
  );
}

/** Where it ran and which code made it; what is not known is left out. */
function identityOf(span: Span): Record<string, string> {
  const all: Record<string, string> = {
    cluster: span.cluster, node: span.node, namespace: span.namespace, workload: span.workload, pod: span.pod,
    container: span.container, service: span.service, scope_name: span.scope_name,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ""));
}
