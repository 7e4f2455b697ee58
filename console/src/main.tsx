import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "@mantine/core/styles.css";
import { queryClient } from "./api/questions";
import { placeOf } from "./foreign_links";
import { router } from "./router";
import { MomentProvider } from "./state/moment";
import { parseSearch } from "./state/search";
import "./theme.css";
import { cssVariables, theme } from "./theme";

const place = document.getElementById("root");
if (place === null) throw new Error("the page has no place for the console");

const { pathname, search, hash } = window.location;
const meant = placeOf(pathname, parseSearch(search), hash.slice(1));
if (meant !== null) router.history.replace(meant);

createRoot(place).render(
  <StrictMode>
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto">
      <QueryClientProvider client={queryClient()}>
        <MomentProvider>
          <RouterProvider router={router} />
        </MomentProvider>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
