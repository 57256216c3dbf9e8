"""The keys that the Serverless Framework (v3) and osls know. Any other key has no effect, unless a plugin reads it."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SERVICE = _words("""
    service frameworkVersion configValidationMode useDotenv variablesResolutionMode plugins package
    custom provider functions resources params layers outputs org app tenant console dashboard
    licenseKey stages disabledDeprecations deprecationNotificationMode enableLegacyDeploymentBucket
    build state
""")

PROVIDER = _words("""
    name runtime stage region profile stackName memorySize timeout environment architecture httpApi
    apiGateway apiName iam role rolePermissionsBoundary iamRoleStatements iamManagedPolicies
    deploymentBucket deploymentPrefix deploymentMethod stackTags tags vpc vpcEndpointIds layers logs
    logRetentionInDays logDataProtectionPolicy tracing versionFunctions endpointType
    notificationArns stackParameters stackPolicy rollbackConfiguration
    disableRollback tracing kmsKeyArn ecr s3 cloudFront alb websocketsApiName
    websocketsApiRouteSelectionExpression websocketsDescription websocket lambdaHashingVersion
    eventBridge runtimeManagement cfnRole snapStart disableDefaultOutputExportNames
    minimumCompressionSize logging build ephemeralStorageSize provisionedConcurrency
    reservedConcurrency
""")

FUNCTION = _words("""
    handler name description timeout memorySize runtime environment events architecture package
    layers role reservedConcurrency provisionedConcurrency tags vpc kmsKeyArn tracing awsKmsKeyArn
    condition dependsOn destinations disableLogs fileSystemConfig image maximumEventAge
    maximumRetryAttempts onError snapStart ephemeralStorageSize url logRetentionInDays
    logDataProtectionPolicy logs runtimeManagement versionFunction iamRoleStatements
    iamRoleStatementsName iamRoleStatementsInherit module vpcDiscovery warmup logging zip enabled
    tenancy durableConfig capacityProvider httpApi
""")

FUNCTION_URL = _words("authorizer cors invokeMode")

FUNCTION_HTTP_API = _words("payload")

HTTP_API = _words("method path authorizer timeout operationId description tags")

HTTP = _words("""
    method path authorizer cors integration private async request response connectionType
    connectionId timeout operation operationId documentation reqValidatorName swagger timeoutInMillis
""")

ALB = _words("""
    listenerArn priority conditions multiValueHeaders authorizer healthCheck targetGroupName
""")

ALB_CONDITIONS = _words("path host method header query ip")

API_GATEWAY = _words("""
    apiKeys apiKeySourceType binaryMediaTypes description disableDefaultEndpoint endpoint metrics
    minimumCompressionSize request resourcePolicy restApiId restApiResources restApiRootResourceId
    shouldStartNameWithService stage timeoutInMillis usagePlan websocketApiId
""")

HTTP_API_SETTINGS = _words("""
    cors authorizers id name payload timeout metrics disableDefaultEndpoint useProviderTags
    shouldStartNameWithService domain
""")

CORS = _words("""
    allowedOrigins allowedMethods allowedHeaders exposedResponseHeaders maxAge allowCredentials
""")

AUTHORIZER = _words("""
    type name functionName functionArn identitySource resultTtlInSeconds enableSimpleResponses
    payloadVersion issuerUrl audience managedExternally id
""")

ROUTE_AUTHORIZER = _words("""
    name arn id type scopes identitySource identityValidationExpression resultTtlInSeconds
    authorizerId claims managedExternally
""")

SCHEDULE = _words("""
    rate enabled input inputPath inputTransformer name description method timezone roleArn
    groupName
""")

WEBSOCKET = _words("route authorizer routeResponseSelectionExpression")

WEBSOCKET_AUTHORIZER = _words("name arn type identitySource")

NOT_EMULATED = _words("""
    sqs sns s3 stream kafka msk activemq rabbitmq alexaSkill alexaSmartHome iot
    iotFleetProvisioning cloudwatchEvent cloudwatchLog cognitoUserPool eventBridge cloudFront
""")
"""Event types that the emulator does not send. The functions can be called with the Invoke API."""

EVENTS = NOT_EMULATED | {"httpApi", "http", "schedule", "alb", "websocket"}
