"""Where the lab's programs come from: pinned versions of Kubernetes, etcd and helm, and Debian packages."""
