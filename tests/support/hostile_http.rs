//! A server that answers as no server should: byte by byte what a test says, with or without TLS.
#![allow(dead_code, missing_docs, reason = "each test binary uses a part")]

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// What is done on a connection, in order; then it is closed.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends this.
    Send(Vec<u8>),
    /// Waits so long.
    Wait(Duration),
    /// Sends this byte again and again, so far apart.
    Drip(u8, Duration),
    /// Sends so many bytes, as fast as they go.
    Flood(usize),
    /// Neither answers nor closes.
    Hang,
}

/// An answer with these lines of its head and this body, of its true length.
pub fn answer(status: &str, head: &[&str], body: &[u8]) -> Vec<Step> {
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for line in head {
        text += &format!("{line}\r\n");
    }
    vec![Step::Send([(text + "\r\n").as_bytes(), body].concat())]
}

/// A good answer.
pub fn json(body: &str) -> Vec<Step> {
    answer("200 OK", &["Content-Type: application/json"], body.as_bytes())
}

/// Says what is done on the nth connection, counted from 0.
pub type Script = Arc<dyn Fn(usize) -> Vec<Step> + Send + Sync>;

/// A running server; dropped, it is gone.
pub struct Hostile {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Hostile {
    /// Always the same.
    pub async fn always(tls: Option<Arc<ServerConfig>>, steps: Vec<Step>) -> Self {
        Self::start([127, 0, 0, 1].into(), 0, tls, Arc::new(move |_| steps.clone())).await
    }

    pub async fn start(ip: IpAddr, port: u16, tls: Option<Arc<ServerConfig>>, script: Script) -> Self {
        let listener = TcpListener::bind((ip, port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counter, heads) = (Arc::clone(&connections), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let steps = script(counter.fetch_add(1, Ordering::SeqCst));
                let (tls, heads) = (tls.clone(), Arc::clone(&heads));
                tokio::spawn(async move {
                    match tls {
                        None => play(stream, steps, &heads).await,
                        Some(config) => {
                            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                                play(stream, steps, &heads).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, connections, asked, _serving: AbortOnDropHandle::new(serving) }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The heads of all requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn play<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, steps: Vec<Step>, heads: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(String::from_utf8_lossy(&head).into_owned());
    for step in steps {
        let sent = match step {
            Step::Send(bytes) => stream.write_all(&bytes).await,
            Step::Wait(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Step::Drip(byte, apart) => loop {
                tokio::time::sleep(apart).await;
                let sent = async {
                    stream.write_u8(byte).await?;
                    stream.flush().await
                };
                if let Err(error) = sent.await {
                    break Err(error);
                }
            },
            Step::Flood(total) => {
                let block = [b' '; 64 * 1024];
                let mut sent = Ok(());
                for _ in 0..total.div_ceil(block.len()) {
                    sent = stream.write_all(&block).await;
                    if sent.is_err() {
                        break;
                    }
                }
                sent
            }
            Step::Hang => std::future::pending().await,
        };
        if sent.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

/// An authority of the test's own, and what it vouches for.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// As a file of authorities has it.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server with a certificate for a name.
    pub fn server(&self, name: &str) -> Arc<ServerConfig> {
        self.server_with(name, |_| {})
    }

    /// One whose time is over.
    pub fn expired(&self, name: &str) -> Arc<ServerConfig> {
        self.server_with(name, |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        })
    }

    fn server_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        config(vec![certificate.der().clone()], &key)
    }
}

/// A server that vouches for itself.
pub fn self_signed(name: &str) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    config(vec![certificate.der().clone()], &key)
}

fn config(chain: Vec<rustls::pki_types::CertificateDer<'static>>, key: &KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap())
}
