use std::{env, io, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::{args::Dashboard, print};
use crate::{
    exit::Exit,
    web::{self, Access, Token, TokenError},
};

const TOKEN: &str = "REDIRECTOR_TOKEN";

/// Arguments that would let in more than was meant, or nobody.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0} lets other hosts in, which takes --allow-remote and a token")]
    Remote(SocketAddr),
    #[error("--allow-remote takes a token: name a file with --token-file, or set REDIRECTOR_TOKEN")]
    NoToken,
    #[error(transparent)]
    Token(#[from] TokenError),
}

pub fn run(args: Dashboard) -> anyhow::Result<Exit> {
    let access = access(&args)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()?
        .block_on(serve(args, access))
}

/// Until it is interrupted, which is its normal end.
async fn serve(args: Dashboard, access: Access) -> anyhow::Result<Exit> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| in_the_way(args.listen, error))?;
    print(format_args!("http://{}/\n", listener.local_addr()?))?;
    tokio::select! {
        () = web::serve(listener, args.instance.name, access) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(Exit::Done)
}

fn in_the_way(address: SocketAddr, error: io::Error) -> anyhow::Error {
    let help = match error.kind() {
        io::ErrorKind::AddrInUse => "; --listen takes another",
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 take privileges, --listen takes another"
        }
        _ => "",
    };
    anyhow::anyhow!("cannot listen on {address}: {error}{help}")
}

fn access(args: &Dashboard) -> anyhow::Result<Access> {
    let token = token(args.token_file.as_deref()).map_err(Refused::from)?;
    if !web::is_local(args.listen) && !args.allow_remote {
        return Err(Refused::Remote(args.listen).into());
    }
    if args.allow_remote && token.is_none() {
        return Err(Refused::NoToken.into());
    }
    Access::new(token).context("cannot begin a session")
}

/// Never on the command line, which everybody on the host can read.
fn token(file: Option<&Path>) -> Result<Option<Token>, TokenError> {
    if let Some(path) = file {
        let token = Token::read(path)?;
        let mode = path.metadata().map_or(0, |file| file.permissions().mode());
        if mode & 0o007 != 0 {
            eprintln!("note: everybody on this host can read {}", path.display());
        }
        return Ok(Some(token));
    }
    let token = env::var_os(TOKEN);
    token
        .map(|token| Token::new(token.to_str().ok_or(TokenError::Characters)?))
        .transpose()
}
