//! Pingora in front of one origin, as the benchmarks of Cirque measure it:
//! `cirque-bench-pingora LISTEN_PORT ORIGIN_PORT`.
//!
//! One thread, connections to the origin kept alive, no access log, defaults for all else.

use std::net::{Ipv4Addr, SocketAddr};

use async_trait::async_trait;
use pingora::prelude::*;
use pingora::server::configuration::ServerConf;

struct Proxy {
    origin: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.origin, false, String::new())))
    }
}

fn main() {
    let ports: Vec<u16> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [listen_port, origin_port] = ports[..] else {
        eprintln!("start this with two ports: that to listen on, and that of the origin");
        std::process::exit(2);
    };

    let configuration = ServerConf { threads: 1, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();

    let origin = SocketAddr::from((Ipv4Addr::LOCALHOST, origin_port));
    let mut service = http_proxy_service(&server.configuration, Proxy { origin });
    service.add_tcp(&format!("127.0.0.1:{listen_port}"));
    server.add_service(service);
    server.run_forever();
}
