//! Calls that have no method: what every call of this client does, for any path.

use serde::de::DeserializeOwned;

use super::{WaldurClient, answer::explain_newer, fields, list};
use crate::{
    error::Result,
    rest::{Call, Pager},
};

impl WaldurClient {
    /// Reads something that has no method here, as the methods read: exactly the members of `T` are asked for, an error
    /// carries the words of Waldur's own refusal, and nothing of an answer that cannot be read.
    ///
    /// `template` is the path below the root; every `{name}` in it takes one of `arguments`.
    ///
    /// ```no_run
    /// # async fn example(waldur: waldur_sdk::client::WaldurClient) -> waldur_sdk::Result<()> {
    /// #[derive(serde::Deserialize)]
    /// struct Invoice {
    ///     state: String,
    /// }
    ///
    /// let uuid = "d47ca5bce71144579df29da3c290027e";
    /// let invoice: Invoice = waldur.get_json("/api/invoices/{uuid}/", &[uuid], &[]).await?;
    /// println!("{}", invoice.state);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `NotFound` when there is no such object, [`Unsupported`](crate::ErrorKind::Unsupported) when this Waldur has no such
    /// path; `Decode` when the answer is no `T`.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        template: &'static str,
        arguments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T> {
        let call = self.unmodelled("get_json", template, arguments, query);
        fields::select::<T>(call).send_json().await.map_err(explain_newer)
    }

    /// Lists something that has no method here, as the methods list: all its pages, with a proof of the end where Waldur
    /// tells how many rows there are, and a row that is no `T` beside the others. `key` tells rows apart.
    ///
    /// ```no_run
    /// # async fn example(waldur: waldur_sdk::client::WaldurClient) -> waldur_sdk::Result<()> {
    /// #[derive(serde::Deserialize)]
    /// struct Invoice {
    ///     uuid: String,
    ///     state: String,
    /// }
    ///
    /// let of_november = [("year", "2026"), ("month", "11")];
    /// let invoices = waldur.list("/api/invoices/", &[], &of_november, |row: &Invoice| row.uuid.clone());
    /// for invoice in invoices.all().await? {
    ///     println!("{} {}", invoice.uuid, invoice.state);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Self::get_json`], of the pages.
    pub fn list<T: DeserializeOwned + Send + 'static>(
        &self,
        template: &'static str,
        arguments: &[&str],
        query: &[(&str, &str)],
        key: fn(&T) -> String,
    ) -> Pager<T> {
        let call = self.unmodelled("list", template, arguments, query);
        list::pages(fields::select::<T>(call), explain_newer, key)
    }

    fn unmodelled(
        &self,
        operation: &'static str,
        template: &'static str,
        arguments: &[&str],
        query: &[(&str, &str)],
    ) -> Call {
        let call = self.rest.get(operation, template, arguments);
        query.iter().fold(call, |call, (name, value)| call.query(name, value))
    }
}
