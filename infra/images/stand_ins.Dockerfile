# For tests without Docker Hub: Debian's Prometheus, Alertmanager and PostgreSQL in the place of the images
# that Compose pulls, with their users, folders and environment. Nothing else uses them.
ARG BASE_IMAGE

FROM ${BASE_IMAGE} AS prometheus
RUN mkdir /prometheus && chown 65534:65534 /prometheus
USER 65534:65534
WORKDIR /prometheus
ENTRYPOINT ["prometheus"]

FROM ${BASE_IMAGE} AS alertmanager
RUN mkdir /alertmanager && chown 65534:65534 /alertmanager
USER 65534:65534
WORKDIR /alertmanager
ENTRYPOINT ["prometheus-alertmanager"]

FROM ${BASE_IMAGE} AS postgres
ENV PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/var/lib/postgresql/data LANG=C.UTF-8
RUN usermod -u 999 postgres && groupmod -g 999 postgres && \
    mkdir -p $PGDATA /var/run/postgresql && chown -R 999:999 /var/lib/postgresql /var/run/postgresql
COPY stand_in_postgres.sh /usr/local/bin/
USER 999:999
ENTRYPOINT ["bash", "/usr/local/bin/stand_in_postgres.sh"]
