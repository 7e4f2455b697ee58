/** What a place shows when it has no data: it waits, there is none, or the question failed. */

import { Button, Skeleton } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { ApiError } from "~/api/client";
import type { Asked } from "~/api/questions";
import { useT } from "~/i18n/use_t";
import { Icon, type IconName } from "./icon";
import classes from "./parts.module.css";

interface LoadingProps {
  readonly heightPx: number;
  /** Lines of text; one block if absent. */
  readonly lines?: number;
}

/** As high as what will stand there, so that nothing moves. */
export function Loading({ heightPx, lines }: LoadingProps) {
  const t = useT();
  return (
    <div className={classes.loading} style={{ height: heightPx }} role="status" aria-label={t("parts.loading")}>
      {lines === undefined ? (
        <Skeleton height="100%" />
      ) : (
        Array.from({ length: lines }, (_, at) => (
          <Skeleton key={at} height={12} width={`${[92, 78, 85, 64][at % 4] ?? 80}%`} />
        ))
      )}
    </div>
  );
}

interface EmptyProps {
  readonly title: string;
  readonly icon?: IconName;
  /** What to do about it. */
  readonly children?: ReactNode;
}

export function Empty({ title, icon = "info", children }: EmptyProps) {
  return (
    <div className={classes.empty}>
      <Icon name={icon} sizePx={20} />
      <div className={classes.emptyTitle}>{title}</div>
      {children !== undefined && <div className={classes.emptyText}>{children}</div>}
    </div>
  );
}

interface ErrorProps {
  readonly error: ApiError;
  readonly onRetry?: () => void;
}

/** Our sentence by the code, the server's own below it. */
export function ErrorNote({ error, onRetry }: ErrorProps) {
  const t = useT();
  const at = error.position === null ? "" : ` (${t("error.at", { position: error.position + 1 })})`;
  return (
    <div className={classes.error} role="alert">
      <Icon name="error" />
      <div>
        <div className={classes.errorTitle}>{t.maybe(`error.${error.code}`) ?? t("error.title")}</div>
        {error.code !== "unreachable" && <div className={classes.errorText}>{`${error.message}${at}`}</div>}
      </div>
      {onRetry !== undefined && (
        <Button variant="default" onClick={onRetry}>
          {t("parts.retry")}
        </Button>
      )}
    </div>
  );
}

interface AnsweredProps<Answer> {
  readonly asked: Asked<Answer>;
  readonly loading: ReactNode;
  readonly children: (answer: Answer) => ReactNode;
}

/**
 * The answer, or what stands for it. While the server cannot answer the next question the last
 * answer stays below the note; a question that it refuses leaves nothing of another one behind.
 */
export function Answered<Answer>({ asked, loading, children }: AnsweredProps<Answer>) {
  const { data, error, refetch } = asked;
  const [last, setLast] = useState(data);
  if (data !== undefined && data !== last) setLast(data);
  const shown = data ?? (error?.isPassing === true ? last : undefined);
  return (
    <>
      {error !== null && <ErrorNote error={error} onRetry={() => void refetch()} />}
      {shown === undefined ? error === null && loading : children(shown)}
    </>
  );
}
