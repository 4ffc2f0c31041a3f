//! temporary
#[derive(Clone, Debug)]
pub struct Serial<K>(std::marker::PhantomData<K>);
impl<K> Default for Serial<K> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}
impl<K> Serial<K> {
    /// x
    pub async fn run<T>(&self, _key: K, work: impl Future<Output = T> + Send + 'static) -> T
    where
        K: Send + Sync,
    {
        work.await
    }
}
