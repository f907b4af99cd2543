<#
.SYNOPSIS
Makes the External network of HNS and keeps the routes to EC2's link-local services.
.DESCRIPTION
Making the first vSwitch takes the connection away for some seconds, so a scheduled task does it, detached from this
session; the answer is then "pending", and the caller connects again and calls once more. With the network there, the
routes to the metadata services are put on the adapter that holds the address now. At every start of the host the same
task runs this script again, and then gives kube-proxy the source VIP of the new overlay network.
See README.md for the JSON.
.PARAMETER Request
JSON object: managementAddress, gateway, network, metadataAddresses, overlay.
.PARAMETER Detached
Set by the scheduled task: make the network here and now, and at a start of the host the source VIP, too.
.EXAMPLE
powershell.exe -File Initialize-NodeNetwork.ps1 -Request (Get-Content -Path C:\k\network.json)
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [Parameter(Mandatory = $true)][string]$Request,
    [switch]$Detached
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$TaskName = 'bootstrap-network'
$ScriptPath = 'C:\k\scripts\Initialize-NodeNetwork.ps1'
$RequestPath = 'C:\k\network.json'

function Get-ManagementInterface {
    param([string]$Address)
    $found = @(Get-NetIPAddress -IPAddress $Address -ErrorAction SilentlyContinue)
    if ($found.Count -eq 0) { throw "WN0501 no adapter has the address $Address" }
    return $found[0].InterfaceIndex
}

function Test-Network {
    param([string]$Name)
    return @(Get-HnsNetwork | Where-Object { $_.Name -eq $Name }).Count -gt 0
}

function Add-Network {
    param($Network)
    # Windows' own HostNetworkingService module lists and removes networks; HNS alone can make one.
    $declaration = '[DllImport("vmcompute.dll")] public static extern void HNSCall(' +
        '[MarshalAs(UnmanagedType.LPWStr)] string method, [MarshalAs(UnmanagedType.LPWStr)] string path, ' +
        '[MarshalAs(UnmanagedType.LPWStr)] string request, [MarshalAs(UnmanagedType.LPWStr)] out string response);'
    $hns = Add-Type -MemberDefinition $declaration -Namespace 'Bootstrap' -Name 'HnsCall' -PassThru
    $subnet = @{
        AddressPrefix = $Network.prefix
        GatewayAddress = $Network.gateway
        Policies = @(@{ Type = 'VSID'; VSID = $Network.vsid })
    }
    $body = @{ Type = 'Overlay'; Name = $Network.name; Subnets = @($subnet) }
    $shown = ''
    $hns::HNSCall('POST', '/networks/', (ConvertTo-Json -InputObject $body -Compress -Depth 6), [ref]$shown)
    $made = ConvertFrom-Json -InputObject $shown
    if (-not $made.Success) { throw "WN0502 HNS does not make the network $($Network.name): $shown" }
}

function Start-NetworkTask {
    $known = @(Get-ScheduledTask -TaskName $TaskName -ErrorAction SilentlyContinue)
    if (@($known | Where-Object { $_.State -eq 'Running' }).Count -gt 0) { return }
    $arguments = "-NoProfile -ExecutionPolicy Bypass -Command ""& '$ScriptPath' -Detached " +
        "-Request (Get-Content -Raw -Path '$RequestPath')"""
    $action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument $arguments
    $trigger = New-ScheduledTaskTrigger -AtStartup
    $principal = New-ScheduledTaskPrincipal -UserId 'SYSTEM' -RunLevel Highest
    Register-ScheduledTask -TaskName $TaskName -Action $action -Trigger $trigger -Principal $principal -Force | Out-Null
    Start-ScheduledTask -TaskName $TaskName
}

function Wait-Address {
    param([string]$Address)
    # The vSwitch takes the adapter's address over in 5 to 30 s.
    for ($second = 0; $second -lt 60; $second++) {
        if (@(Get-NetIPAddress -IPAddress $Address -ErrorAction SilentlyContinue).Count -gt 0) { return }
        Start-Sleep -Seconds 1
    }
}

function Add-MetadataRoute {
    param($Wanted)
    $index = Get-ManagementInterface -Address $Wanted.managementAddress
    $added = @()
    foreach ($address in @($Wanted.metadataAddresses)) {
        $prefix = "$address/32"
        $routes = @(Get-NetRoute -DestinationPrefix $prefix -ErrorAction SilentlyContinue)
        $right = @($routes | Where-Object { $_.InterfaceIndex -eq $index -and $_.NextHop -eq $Wanted.gateway })
        if ($right.Count -gt 0 -and $right.Count -eq $routes.Count) { continue }
        if ($PSCmdlet.ShouldProcess($prefix, 'route')) {
            # A route through another subnet's gateway, left in an image, wins over ours: it goes first.
            $routes | Remove-NetRoute -Confirm:$false
            New-NetRoute -DestinationPrefix $prefix -InterfaceIndex $index -NextHop $Wanted.gateway | Out-Null
        }
        $added += $address
    }
    return $added
}

function Update-SourceVip {
    param($Overlay)
    & 'C:\k\scripts\Wait-NodeOverlay.ps1' -Request (ConvertTo-Json -InputObject @{
            network = $Overlay.network
            timeoutSeconds = 300
        }) | Out-Null
    & 'C:\k\scripts\Set-SourceVip.ps1' -Request (ConvertTo-Json -InputObject @{
            network = $Overlay.network
            hostLocal = 'C:\k\cni\host-local.exe'
            template = $Overlay.kubeProxyTemplate
            config = $Overlay.kubeProxyConfig
        }) | Out-Null
    if (Get-Service -Name 'kube-proxy' -ErrorAction SilentlyContinue) { Restart-Service -Name 'kube-proxy' -Force }
}

function Read-Request {
    param([string]$Text, [string[]]$Fields)
    try { $parsed = ConvertFrom-Json -InputObject $Text }
    catch { throw "WN0001 the request is no JSON: $($_.Exception.Message)" }
    foreach ($field in $Fields) {
        if ($null -eq $parsed.PSObject.Properties[$field]) { throw "WN0001 the request lacks the field $field" }
    }
    return $parsed
}

$fields = @('managementAddress', 'gateway', 'network', 'metadataAddresses', 'overlay')
$wanted = Read-Request -Text $Request -Fields $fields
$present = Test-Network -Name $wanted.network.name
$pending = $false
$added = @()
if ($Detached) {
    if (-not $present) {
        # The session that started this task gets its answer before the connection is cut.
        Start-Sleep -Seconds 2
        Add-Network -Network $wanted.network
    }
    Wait-Address -Address $wanted.managementAddress
    $added = @(Add-MetadataRoute -Wanted $wanted)
    if (Test-Path -Path $wanted.overlay.kubeProxyConfig) { Update-SourceVip -Overlay $wanted.overlay }
}
elseif ($present) {
    $added = @(Add-MetadataRoute -Wanted $wanted)
}
else {
    Get-ManagementInterface -Address $wanted.managementAddress | Out-Null
    $pending = $true
    if ($PSCmdlet.ShouldProcess($wanted.network.name, 'make the network in a task')) {
        Start-NetworkTask
    }
}
$answer = [ordered]@{
    changed = $pending -or $added.Count -gt 0
    pending = $pending
    routes = $added
}
ConvertTo-Json -InputObject $answer -Compress -Depth 5
