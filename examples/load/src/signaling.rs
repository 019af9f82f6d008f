//! The server's `/meetings` and `/signaling`.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::failure::Failure;

/// Bytes of an answer that are read: a meeting's code has a hundred.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Makes a meeting, and says its code.
pub(crate) async fn create_meeting(server: SocketAddr) -> Result<String, Failure> {
    let mut stream = TcpStream::connect(server).await?;
    let request =
        format!("POST /meetings HTTP/1.1\r\nHost: {server}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if !head.starts_with("HTTP/1.1 201 ") {
        return Err(Failure::Refused(head.lines().next().unwrap_or_default().to_owned()));
    }
    let body: Value = serde_json::from_str(body)?;
    body["code"].as_str().map(str::to_owned).ok_or_else(|| Failure::Refused(body.to_string()))
}

pub(crate) struct Signaling(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Signaling {
    pub(crate) async fn connect(server: SocketAddr) -> Result<Self, Failure> {
        let (stream, _) = connect_async(format!("ws://{server}/signaling")).await.map_err(Box::new)?;
        Ok(Self(stream))
    }

    pub(crate) async fn say(&mut self, message: Value) -> Result<(), Failure> {
        Ok(self.0.send(Message::text(message.to_string())).await.map_err(Box::new)?)
    }

    /// The next message. It may be dropped, and loses none then.
    pub(crate) async fn hear(&mut self) -> Result<Value, Failure> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text)?),
                Some(Ok(Message::Close(_))) | None => return Err(Failure::Ended),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Box::new(error).into()),
            }
        }
    }
}
