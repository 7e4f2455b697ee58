/** Nothing is done here, since no file says what: how to give one, to check it, and the shortest. */

import { CodeLine } from "./code_line";
import type { IconName } from "./icon";
import { useT } from "~/i18n/use_t";
import classes from "./parts.module.css";
import { Prose } from "./prose";
import { Empty } from "./states";

interface Props {
  readonly title: string;
  readonly icon: IconName;
  readonly what: string;
  /** Of `trilens serve`. */
  readonly setting: string;
  readonly file: string;
  readonly example: string;
}

export function NoConfig({ title, icon, what, setting, file, example }: Props) {
  const t = useT();
  return (
    <div className={classes.alone}>
      <Empty title={title} icon={icon}>
        <Prose text={what} />
        <CodeLine text={`trilens serve ${setting} ${file}`} />
        <span>{t("parts.configCheck")}</span>
        <CodeLine text={`trilens check ${file}`} />
        <span>{t("parts.configExample")}</span>
        <pre className={classes.yaml}>{example}</pre>
      </Empty>
    </div>
  );
}
