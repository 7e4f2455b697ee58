"""Targets out of a Kubernetes cluster: kubernetes_sd_configs of Prometheus 3.14, all roles.

    config      what a file says
    access      where the API server is, and who we are: in a pod, by api_server, by a kubeconfig
    resources   which objects a role needs, and what of them is kept
    store       the objects of one kind, by list and watch
    objects     nodes, services, ingresses and pods as groups of targets;  endpoints: theirs
    follow      a role as it goes on: stores, and groups made anew where something changed

Limits      pages of 500 objects, 200,000 objects of a kind, 16 MiB a page or event; groups are told
            at most every 5 s. What the API server refuses leaves what was known before.
"""
